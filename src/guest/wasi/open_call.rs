//! `path_open`.

use wasmtime::component::ResourceTableError;
use wasmtime_wasi::p1::types::{Errno, Error, Fd, Fdflags, Lookupflags, Oflags, Rights};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;

use super::context::Wasi;
use super::descriptors::{Descriptor, OpenFile};
use super::own_paths::{HostPath, Place};
use super::path_calls::last;
use crate::guest::files::{Device, FileError, Kind, Last, NodeId, Walked};

/// The flags of `path_open`.
#[derive(Clone, Copy)]
pub(super) struct OpenFlags {
    pub lookup: Lookupflags,
    pub open: Oflags,
    pub rights: Rights,
    pub inheriting: Rights,
    pub file: Fdflags,
}

impl OpenFlags {
    fn wants_write(&self) -> bool {
        self.rights.contains(Rights::FD_WRITE) || self.open.contains(Oflags::TRUNC)
    }
}

impl Wasi {
    pub(super) async fn open_path(&mut self, descriptor: Fd, path: String, flags: OpenFlags) -> Result<Fd, Error> {
        let is_context = match self.descriptors.get(descriptor.into())? {
            Descriptor::File(_) => return Err(Errno::Notdir.into()),
            // The context checks the flags itself.
            Descriptor::Stream(_) | Descriptor::Granted(_) => true,
            Descriptor::Preopen(_) | Descriptor::Directory { .. } => false,
        };
        if !is_context && flags.file.intersects(Fdflags::DSYNC | Fdflags::RSYNC | Fdflags::SYNC) {
            return Err(Errno::Notsup.into());
        }
        let of_files = Oflags::CREAT | Oflags::EXCL | Oflags::TRUNC;
        if !is_context && flags.open.contains(Oflags::DIRECTORY) && flags.open.intersects(of_files) {
            return Err(Errno::Inval.into());
        }
        let creates = flags.open.contains(Oflags::CREAT);
        let follows = flags.lookup.contains(Lookupflags::SYMLINK_FOLLOW);
        let last = match (creates, follows && !flags.open.contains(Oflags::EXCL)) {
            (true, true) => Last::Create,
            (true, false) => Last::CreateNew,
            (false, _) => last(flags.lookup),
        };
        let (directory, name, node, behind) = match self.place(descriptor, &path, last).await? {
            Place::Granted(number, path) => {
                let opened = self.open_granted(number, path, flags).await?;
                self.lookups.pass();
                return self.add(Descriptor::Granted(opened));
            }
            Place::Own(Walked::Entry { directory, name, node, behind }) => (directory, name, node, behind),
            Place::Own(Walked::Itself(node, behind)) => (node, String::new(), Some(node), behind),
            Place::Own(Walked::Granted(..)) => return Err(Errno::Noent.into()),
        };
        match self.open_own(directory, &name, node, flags) {
            Ok(Descriptor::Directory { node, .. }) => {
                let opened = self.open_directory(node, behind, flags).await?;
                self.lookups.pass();
                self.add(opened)
            }
            Ok(opened) => {
                self.lookups.pass();
                self.add(opened)
            }
            Err(error) => Err(self.missed(&path, self.base_node(descriptor), error)),
        }
    }

    /// Opens a path in a granted directory; gives the context's descriptor.
    async fn open_granted(&mut self, number: u32, path: String, flags: OpenFlags) -> Result<u32, Error> {
        self.check_room(1)?;
        let OpenFlags { lookup, open, rights, inheriting, file } = flags;
        let mut path = HostPath::new(path);
        let pointer = path.pointer();
        let mut memory = path.memory();
        let opened = self.ctx.path_open(&mut memory, number.into(), lookup, pointer, open, rights, inheriting, file);
        Ok(opened.await?.into())
    }

    /// Opens something of the task's own, or makes it.
    fn open_own(
        &mut self,
        directory: NodeId,
        name: &str,
        node: Option<NodeId>,
        flags: OpenFlags,
    ) -> Result<Descriptor, FileError> {
        let now = self.file_time();
        let OpenFlags { open, .. } = flags;
        let creates = open.contains(Oflags::CREAT);
        let tree = self.files.tree_mut();
        let Some(node) = node else {
            if !creates {
                return Err(FileError::NoEntry);
            }
            let node = tree.create(directory, name, Kind::File(Default::default()), now)?;
            return Ok(self.file(node, flags));
        };
        if creates && open.contains(Oflags::EXCL) {
            return Err(FileError::Exists);
        }
        match tree.kind(node) {
            Kind::Directory(_) if creates || flags.wants_write() => Err(FileError::IsDirectory),
            Kind::Directory(_) => Ok(Descriptor::Directory { node, granted: None }),
            // It was not to be followed.
            Kind::Link(_) => Err(FileError::Loop),
            _ if open.contains(Oflags::DIRECTORY) => Err(FileError::NotDirectory),
            Kind::Device(Device::Stream(number)) => Ok(Descriptor::Stream(*number)),
            Kind::Device(Device::Null) => Ok(self.file(node, flags)),
            Kind::Input { .. } if flags.wants_write() => Err(FileError::ReadOnly),
            Kind::Input { .. } => Ok(self.file(node, OpenFlags { open: Oflags::empty(), ..flags })),
            Kind::File(_) => {
                if open.contains(Oflags::TRUNC) {
                    tree.set_len(node, 0, now)?;
                }
                Ok(self.file(node, flags))
            }
        }
    }

    fn file(&self, node: NodeId, flags: OpenFlags) -> Descriptor {
        let writes = flags.wants_write();
        Descriptor::File(OpenFile {
            node,
            position: 0,
            // As wasmtime-wasi has it: what is not opened to be written is opened to be read, and what is made can be written.
            reads: flags.rights.contains(Rights::FD_READ) || !flags.rights.contains(Rights::FD_WRITE),
            writes: writes || flags.open.contains(Oflags::CREAT),
            appends: flags.file.contains(Fdflags::APPEND),
            is_nonblocking: flags.file.contains(Fdflags::NONBLOCK),
        })
    }

    /// Opens what stands behind a directory of the task's own.
    async fn open_directory(
        &mut self,
        node: NodeId,
        behind: Option<(u32, String)>,
        flags: OpenFlags,
    ) -> Result<Descriptor, Error> {
        let Some((number, path)) = behind else { return Ok(Descriptor::Directory { node, granted: None }) };
        let is_mount = path == ".";
        let flags = OpenFlags { open: flags.open | Oflags::DIRECTORY, ..flags };
        match self.open_granted(number, path, flags).await {
            Ok(granted) if is_mount && !self.files.tree().has_names(node) => Ok(Descriptor::Granted(granted)),
            Ok(granted) => Ok(Descriptor::Directory { node, granted: Some(granted) }),
            Err(error) if is_mount => Err(error),
            // Nothing is there, or no directory.
            Err(_) => Ok(Descriptor::Directory { node, granted: None }),
        }
    }

    /// Adds a descriptor of a new file or directory.
    fn add(&mut self, descriptor: Descriptor) -> Result<Fd, Error> {
        match descriptor {
            Descriptor::File(OpenFile { node, .. }) | Descriptor::Directory { node, .. } => {
                self.check_room(1)?;
                self.files.tree_mut().open(node);
            }
            Descriptor::Stream(_) => self.check_room(1)?,
            _ => {}
        }
        Ok(self.descriptors.add(descriptor).into())
    }

    /// Checks that the task may open something.
    fn check_room(&self, count: usize) -> Result<(), Error> {
        match self.descriptors.has_room(self.open_files, count) {
            true => Ok(()),
            false => Err(Error::trap(ResourceTableError::Full.into())),
        }
    }
}
