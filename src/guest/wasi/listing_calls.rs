//! `fd_readdir`: the entries of directories.
//!
//! Source: `fd_readdir` and `dirent` of WASI preview 1 (wasi_snapshot_preview1.witx).

use std::collections::HashSet;

use wasmtime_wasi::p1::types::{Errno, Error, Fd, Filetype};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr};

use super::context::Wasi;
use super::descriptors::Descriptor;
use super::listings::{Listing, MAX_BYTES, entries};
use super::own_files::file_type;
use crate::guest::files::NodeId;

/// How many bytes of a granted directory are read at first; most fit.
const FIRST_BYTES: usize = 64 << 10;

/// The cookies of `.` and `..` are 0 and 1.
const FIRST_COOKIE: u64 = 2;

impl Wasi {
    /// Writes entries of a directory, from the one with this cookie on, to `buffer`. Returns how many bytes that are.
    pub(super) async fn list(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
        buffer: GuestPtr<[u8]>,
        cookie: u64,
    ) -> Result<u32, Error> {
        let number: u32 = descriptor.into();
        let (own, granted) = match *self.descriptors.get(number)? {
            Descriptor::Preopen(position) => {
                self.make_files().await;
                (self.files.mounted(position), self.files.preopen_granted(position))
            }
            Descriptor::Directory { node, granted } => (Some(node), granted),
            Descriptor::Granted(granted) => (None, Some(granted)),
            Descriptor::Stream(_) | Descriptor::File(_) => return Err(Errno::Badf.into()),
        };
        let own = own.filter(|node| granted.is_none() || self.files.tree().has_names(*node));
        let len = buffer.len() as usize;
        let Some(granted) = granted else {
            let bytes = self.list_own(own.unwrap_or(NodeId::ROOT), cookie, len);
            return write(memory, buffer, &bytes);
        };
        if cookie == 0 {
            self.listings.forget(number);
        }
        if self.listings.get(number).is_none() {
            // What is merged is kept as a whole, because the entries have other cookies than those of the granted directory.
            let most = if own.is_some() { usize::MAX } else { MAX_BYTES };
            let listed = self.list_granted(granted, most).await?;
            let listing = match own {
                Some(own) => self.merged(own, &listed.0),
                None => Listing::new(listed.0, listed.1),
            };
            self.listings.put(number, listing);
        }
        let part = self.listings.get(number).and_then(|listing| listing.part(cookie, len));
        match part {
            Some(part) => write(memory, buffer, part),
            None => self.ctx.fd_readdir(memory, granted.into(), buffer.as_ptr(), buffer.len(), cookie).await,
        }
    }

    /// Reads a granted directory from the start, at most about `most` bytes of it, and whether that is all.
    async fn list_granted(&mut self, number: u32, most: usize) -> Result<(Vec<u8>, bool), Error> {
        let mut size = FIRST_BYTES;
        loop {
            let mut host = vec![0; size];
            let mut memory = GuestMemory::Unshared(&mut host);
            let used =
                self.ctx.fd_readdir(&mut memory, number.into(), GuestPtr::new(0), size as u32, 0).await? as usize;
            if used < size || size >= most || size >= u32::MAX as usize / 16 {
                host.truncate(used);
                return Ok((host, used < size));
            }
            size = (16 * size).min(most);
        }
    }

    /// At most about `len` bytes of the entries of a directory of the task's own, from this cookie on.
    fn list_own(&self, node: NodeId, cookie: u64, len: usize) -> Vec<u8> {
        let tree = self.files.tree();
        let mut bytes = Vec::new();
        let number = tree.stat(node).number;
        for (at, name) in (0..FIRST_COOKIE).zip([".", ".."]) {
            if cookie <= at {
                push(&mut bytes, at + 1, number, Filetype::Directory, name);
            }
        }
        for (next, name, child) in tree.list(node, cookie.saturating_sub(FIRST_COOKIE)) {
            if bytes.len() >= len {
                break;
            }
            push(&mut bytes, FIRST_COOKIE + next, tree.stat(child).number, file_type(tree.kind(child)), name);
        }
        bytes.truncate(len);
        bytes
    }

    /// The entries of a directory of the task's own, and those of the granted one behind it that have other names.
    fn merged(&self, own: NodeId, granted: &[u8]) -> Listing {
        let tree = self.files.tree();
        let mut bytes = Vec::new();
        let mut next = 0;
        let mut names = HashSet::new();
        let mut add = |inode, kind, name: &[u8]| {
            next += 1;
            push_bytes(&mut bytes, next, inode, kind, name);
        };
        for (_, name, child) in tree.list(own, 0) {
            names.insert(name.as_bytes());
            add(tree.stat(child).number, file_type(tree.kind(child)) as u8, name.as_bytes());
        }
        for entry in entries(granted) {
            if !names.contains(entry.name) {
                add(entry.inode, entry.kind, entry.name);
            }
        }
        Listing::new(bytes, true)
    }
}

fn push(bytes: &mut Vec<u8>, next: u64, inode: u64, kind: Filetype, name: &str) {
    push_bytes(bytes, next, inode, kind as u8, name.as_bytes());
}

/// Appends an entry.
fn push_bytes(bytes: &mut Vec<u8>, next: u64, inode: u64, kind: u8, name: &[u8]) {
    bytes.extend_from_slice(&next.to_le_bytes());
    bytes.extend_from_slice(&inode.to_le_bytes());
    bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&[kind, 0, 0, 0]);
    bytes.extend_from_slice(name);
}

/// Writes as many bytes to the task's buffer as fit.
fn write(memory: &mut GuestMemory<'_>, buffer: GuestPtr<[u8]>, bytes: &[u8]) -> Result<u32, Error> {
    let len = buffer.len().min(bytes.len() as u32);
    memory.copy_from_slice(&bytes[..len as usize], buffer.as_ptr().as_array(len))?;
    Ok(len)
}
