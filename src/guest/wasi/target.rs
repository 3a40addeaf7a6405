//! What a task's descriptor stands for, for calls that do not care about paths.

use wasmtime_wasi::p1::types::{Error, Fd};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::GuestMemory;

use super::context::Wasi;
use super::descriptors::Descriptor;
use crate::guest::files::NodeId;

/// What a call about a descriptor is for.
pub(super) enum Target {
    /// This descriptor of the context.
    Context(Fd),
    File,
    Directory(NodeId),
}

impl Wasi {
    pub(super) fn target(&self, descriptor: Fd) -> Result<Target, Error> {
        Ok(match *self.descriptors.get(descriptor.into())? {
            Descriptor::Stream(number)
            | Descriptor::Granted(number)
            | Descriptor::Directory { granted: Some(number), .. } => Target::Context(number.into()),
            Descriptor::Preopen(position) => match self.files.preopen_granted(position) {
                Some(number) => Target::Context(number.into()),
                None => Target::Directory(NodeId::ROOT),
            },
            Descriptor::Directory { node, granted: None } => Target::Directory(node),
            Descriptor::File(_) => Target::File,
        })
    }

    /// Ends what a descriptor stands for, once it has no number any more.
    pub(super) async fn close(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        let nothing = &mut GuestMemory::Unshared(&mut []);
        match descriptor {
            Descriptor::Stream(_) | Descriptor::Preopen(_) => Ok(()),
            Descriptor::Granted(number) => self.ctx.fd_close(nothing, number.into()).await,
            Descriptor::File(file) => {
                self.files.tree_mut().close(file.node);
                Ok(())
            }
            Descriptor::Directory { node, granted } => {
                self.files.tree_mut().close(node);
                match granted {
                    Some(number) => self.ctx.fd_close(nothing, number.into()).await,
                    None => Ok(()),
                }
            }
        }
    }
}
