//! Calls with paths.

use wasmtime_wasi::p1::types::{Errno, Error, Fd, Fdflags, Filestat, Fstflags, Lookupflags, Oflags, Rights, Timestamp};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wiggle::{GuestMemory, GuestPtr};

use super::context::Wasi;
use super::descriptors::Descriptor;
use super::own_paths::{HostPath, Place};
use crate::guest::files::{Directory, FileError, Kind, Last, MAX_PATH_BYTES, NodeId, Walked};

impl Wasi {
    pub(super) async fn stat_path(
        &mut self,
        descriptor: Fd,
        lookup: Lookupflags,
        path: String,
    ) -> Result<Filestat, Error> {
        let (number, text) = match self.place(descriptor, &path, last(lookup)).await? {
            Place::Granted(number, path) => (number, path),
            Place::Own(walked) => match (behind_mount(&walked), found(&walked)) {
                (Some(place), _) => place,
                (None, Some(node)) => {
                    self.lookups.pass();
                    return Ok(self.own_stat(node));
                }
                (None, None) => return Err(self.missed(&path, self.base_node(descriptor), FileError::NoEntry)),
            },
        };
        let mut host = HostPath::new(text);
        let pointer = host.pointer();
        self.ctx.path_filestat_get(&mut host.memory(), number.into(), lookup, pointer).await
    }

    pub(super) async fn set_path_times(
        &mut self,
        descriptor: Fd,
        lookup: Lookupflags,
        path: String,
        (accessed, modified, flags): (Timestamp, Timestamp, Fstflags),
    ) -> Result<(), Error> {
        let (number, text) = match self.place(descriptor, &path, last(lookup)).await? {
            Place::Granted(number, path) => (number, path),
            Place::Own(walked) => match (behind_mount(&walked), found(&walked)) {
                (Some(place), _) => place,
                (None, Some(node)) => return self.set_own_times(node, accessed, modified, flags),
                (None, None) => return Err(self.missed(&path, self.base_node(descriptor), FileError::NoEntry)),
            },
        };
        let mut host = HostPath::new(text);
        let pointer = host.pointer();
        let mut memory = host.memory();
        if lookup.contains(Lookupflags::SYMLINK_FOLLOW) {
            let set = self.ctx.path_filestat_set_times(
                &mut memory,
                number.into(),
                lookup,
                pointer,
                accessed,
                modified,
                flags,
            );
            return set.await;
        }
        // Workers may set the times of open files alone, because Landlock does not restrict `utimensat` of paths.
        let rights = Rights::FD_READ | Rights::FD_FILESTAT_SET_TIMES;
        let (none, open) = (Rights::empty(), Oflags::empty());
        let opened =
            self.ctx.path_open(&mut memory, number.into(), lookup, pointer, open, rights, none, Fdflags::empty());
        let file: u32 = match opened.await {
            Ok(file) => file.into(),
            Err(error) => {
                return Err(match error.downcast() {
                    // It is a symbolic link, which cannot be opened.
                    Ok(Errno::Loop) => Errno::Notsup.into(),
                    Ok(errno) => errno.into(),
                    Err(error) => Error::trap(error),
                });
            }
        };
        let set = self.ctx.fd_filestat_set_times(&mut memory, file.into(), accessed, modified, flags).await;
        self.ctx.fd_close(&mut memory, file.into()).await?;
        set
    }

    pub(super) async fn create_directory(&mut self, descriptor: Fd, path: String) -> Result<(), Error> {
        match self.place(descriptor, without_slashes(&path), Last::Name).await? {
            Place::Granted(number, text) => {
                let mut host = HostPath::new(text);
                let pointer = host.pointer();
                self.ctx.path_create_directory(&mut host.memory(), number.into(), pointer).await
            }
            Place::Own(Walked::Entry { directory, name, .. }) => {
                let now = self.file_time();
                let made = self.files.tree_mut().create(directory, &name, Kind::Directory(Directory::default()), now);
                self.note(descriptor, &path, made.map(drop))
            }
            Place::Own(_) => Err(FileError::Exists.into()),
        }
    }

    pub(super) async fn symlink(&mut self, target: String, descriptor: Fd, path: String) -> Result<(), Error> {
        // wasmtime-wasi refuses these too, because they could not be followed.
        if target.starts_with('/') && !matches!(self.descriptors.get(descriptor.into()), Ok(Descriptor::Granted(_))) {
            return Err(FileError::NotPermitted.into());
        }
        match self.place(descriptor, &path, Last::Name).await? {
            Place::Granted(number, text) => {
                let target_len = target.len() as u32;
                let text_len = text.len() as u32;
                let mut host = (target + &text).into_bytes();
                let mut memory = GuestMemory::Unshared(&mut host);
                let (target, text) = (GuestPtr::new((0, target_len)), GuestPtr::new((target_len, text_len)));
                self.ctx.path_symlink(&mut memory, target, number.into(), text).await
            }
            Place::Own(walked) => {
                let now = self.file_time();
                let made = match (&*target, walked) {
                    (target, _) if target.contains('\0') => Err(FileError::Invalid),
                    (_, Walked::Entry { name, .. }) if name.contains('\0') => Err(FileError::Invalid),
                    ("", _) => Err(FileError::NoEntry),
                    (target, _) if target.len() >= MAX_PATH_BYTES => Err(FileError::NameTooLong),
                    (target, Walked::Entry { directory, name, .. }) => {
                        self.files.tree_mut().create(directory, &name, Kind::Link(target.into()), now).map(drop)
                    }
                    _ => Err(FileError::Exists),
                };
                self.note(descriptor, &path, made)
            }
        }
    }

    pub(super) async fn link(
        &mut self,
        (old_descriptor, lookup, old_path): (Fd, Lookupflags, String),
        (new_descriptor, new_path): (Fd, String),
    ) -> Result<(), Error> {
        let is_granted = |fd: Fd| matches!(self.descriptors.get(fd.into()), Ok(Descriptor::Granted(_)));
        if lookup.contains(Lookupflags::SYMLINK_FOLLOW) && !is_granted(old_descriptor) && !is_granted(new_descriptor) {
            return Err(FileError::Invalid.into());
        }
        let old = self.place(old_descriptor, &old_path, Last::Name).await?;
        let new = self.place(new_descriptor, &new_path, Last::Name).await?;
        match (old, new) {
            (Place::Granted(old, old_path), Place::Granted(new, new_path)) => {
                let (mut host, old_path, new_path) = two_paths(old_path, new_path);
                let mut memory = GuestMemory::Unshared(&mut host);
                self.ctx.path_link(&mut memory, old.into(), lookup, old_path, new.into(), new_path).await
            }
            (Place::Own(old), new) => {
                let linked = self.link_own(&old, &new);
                self.note(old_descriptor, &old_path, linked)
            }
            (Place::Granted(..), Place::Own(_)) => Err(FileError::CrossDevice.into()),
        }
    }

    fn link_own(&mut self, old: &Walked, new: &Place) -> Result<(), FileError> {
        if has_nul(old) || matches!(new, Place::Own(new) if has_nul(new)) {
            return Err(FileError::Invalid);
        }
        let node = match old {
            Walked::Entry { directory, name, .. } => {
                self.files.tree().check_name(*directory, name)?;
                found(old).ok_or(FileError::NoEntry)?
            }
            _ => found(old).ok_or(FileError::NoEntry)?,
        };
        let now = self.file_time();
        match new {
            Place::Own(Walked::Entry { directory, name, .. }) => {
                self.files.tree_mut().link(node, *directory, name, now)
            }
            Place::Own(_) => Err(FileError::Exists),
            Place::Granted(..) => Err(FileError::CrossDevice),
        }
    }

    pub(super) async fn rename(
        &mut self,
        (old_descriptor, old_path): (Fd, String),
        (new_descriptor, new_path): (Fd, String),
    ) -> Result<(), Error> {
        let is_directory = old_path.ends_with('/') || new_path.ends_with('/');
        let old = self.place(old_descriptor, without_slashes(&old_path), Last::Name).await?;
        let new = self.place(new_descriptor, without_slashes(&new_path), Last::Name).await?;
        match (old, new) {
            (Place::Granted(old, mut old_path), Place::Granted(new, new_path)) => {
                // A slash at the end of either path means this.
                if is_directory && !old_path.is_empty() {
                    old_path.push('/');
                }
                let (mut host, old_path, new_path) = two_paths(old_path, new_path);
                let mut memory = GuestMemory::Unshared(&mut host);
                self.ctx.path_rename(&mut memory, old.into(), old_path, new.into(), new_path).await
            }
            (
                Place::Own(Walked::Entry { directory: from, name: old, node, .. }),
                Place::Own(Walked::Entry { directory: to, name: new, .. }),
            ) => {
                let now = self.file_time();
                let tree = self.files.tree_mut();
                let is_no_directory = node.is_some_and(|node| tree.directory(node).is_none());
                let renamed = match is_directory && is_no_directory && tree.check_name(to, &new).is_ok() {
                    true => Err(FileError::NotDirectory),
                    false => tree.rename((from, &old), (to, &new), now),
                };
                let (descriptor, path) = match node.is_some_and(|node| !tree.is_fixed(node)) {
                    true => (new_descriptor, new_path),
                    false => (old_descriptor, old_path),
                };
                self.note(descriptor, &path, renamed)
            }
            (Place::Own(Walked::Entry { node: None, .. }), Place::Granted(..)) => {
                Err(self.missed(&old_path, self.base_node(old_descriptor), FileError::NoEntry))
            }
            (Place::Own(old), Place::Own(new)) if has_nul(&old) || has_nul(&new) => Err(FileError::Invalid.into()),
            (Place::Own(Walked::Itself(..)), _) | (_, Place::Own(Walked::Itself(..))) => Err(FileError::Busy.into()),
            _ => Err(FileError::CrossDevice.into()),
        }
    }

    pub(super) async fn unlink(&mut self, descriptor: Fd, path: String) -> Result<(), Error> {
        match self.place(descriptor, &path, Last::Name).await? {
            Place::Granted(number, text) => {
                let mut host = HostPath::new(text);
                let pointer = host.pointer();
                self.ctx.path_unlink_file(&mut host.memory(), number.into(), pointer).await
            }
            Place::Own(walked) => {
                let now = self.file_time();
                let removed = match walked {
                    Walked::Entry { directory, name, .. } => self.files.tree_mut().unlink(directory, &name, now),
                    _ => Err(FileError::IsDirectory),
                };
                self.note(descriptor, &path, removed)
            }
        }
    }

    pub(super) async fn remove_directory(&mut self, descriptor: Fd, path: String) -> Result<(), Error> {
        match self.place(descriptor, &path, Last::Name).await? {
            Place::Granted(number, text) => {
                let mut host = HostPath::new(text);
                let pointer = host.pointer();
                self.ctx.path_remove_directory(&mut host.memory(), number.into(), pointer).await
            }
            Place::Own(walked) => {
                let now = self.file_time();
                let removed = match walked {
                    Walked::Entry { directory, name, .. } => {
                        self.files.tree_mut().remove_directory(directory, &name, now)
                    }
                    _ => Err(FileError::Invalid),
                };
                self.note(descriptor, &path, removed)
            }
        }
    }

    /// Reads a symbolic link into `buffer`; gives how many bytes.
    pub(super) async fn read_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        descriptor: Fd,
        path: String,
        buffer: GuestPtr<[u8]>,
    ) -> Result<u32, Error> {
        let target = match self.place(descriptor, &path, Last::Name).await? {
            Place::Granted(number, mut text) => {
                /// Links of Linux are no longer.
                const MAX_BYTES: usize = 4096;
                let text_len = text.len();
                text.reserve(MAX_BYTES);
                let mut host = text.into_bytes();
                host.resize(text_len + MAX_BYTES, 0);
                let (pointer, target) = (GuestPtr::new((0, text_len as u32)), GuestPtr::new(text_len as u32));
                let mut memory = GuestMemory::Unshared(&mut host);
                let len = self.ctx.path_readlink(&mut memory, number.into(), pointer, target, MAX_BYTES as u32).await?;
                host[text_len..text_len + len as usize].to_vec()
            }
            Place::Own(walked) => match found(&walked).map(|node| self.files.tree().kind(node)) {
                Some(Kind::Link(target)) => target.as_bytes().to_vec(),
                Some(_) => return Err(Errno::Inval.into()),
                None => {
                    let error = match &walked {
                        Walked::Entry { directory, name, .. } => self.files.tree().check_name(*directory, name).err(),
                        _ => None,
                    };
                    let error = error.unwrap_or(FileError::NoEntry);
                    return Err(self.missed(&path, self.base_node(descriptor), error));
                }
            },
        };
        let len = buffer.len().min(target.len() as u32);
        memory.copy_from_slice(&target[..len as usize], buffer.as_ptr().as_array(len))?;
        Ok(len)
    }

    /// The result of a call about a path, noted if a grant might have helped.
    fn note(&mut self, descriptor: Fd, path: &str, result: Result<(), FileError>) -> Result<(), Error> {
        match result {
            Ok(()) => {
                self.lookups.pass();
                Ok(())
            }
            Err(error) => Err(self.missed(path, self.base_node(descriptor), error)),
        }
    }
}

/// Whether the name at the end of a path has a NUL byte, with which no system call is made.
fn has_nul(walked: &Walked) -> bool {
    matches!(walked, Walked::Entry { name, .. } if name.contains('\0'))
}

pub(super) fn last(lookup: Lookupflags) -> Last {
    match lookup.contains(Lookupflags::SYMLINK_FOLLOW) {
        true => Last::Follow,
        false => Last::Keep,
    }
}

/// What a path leads to.
fn found(walked: &Walked) -> Option<NodeId> {
    match walked {
        Walked::Itself(node, _) => Some(*node),
        Walked::Entry { node, .. } => *node,
        Walked::Granted(..) => None,
    }
}

/// The granted directory that a path leads to.
fn behind_mount(walked: &Walked) -> Option<(u32, String)> {
    let (Walked::Itself(_, behind) | Walked::Entry { behind, .. }) = walked else { return None };
    behind.clone().filter(|(_, path)| path == ".")
}

/// Without slashes at the end, which some calls ignore.
fn without_slashes(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if !path.is_empty() => "/",
        trimmed => trimmed,
    }
}

/// Two paths in memory of the host's.
fn two_paths(first: String, second: String) -> (Vec<u8>, GuestPtr<str>, GuestPtr<str>) {
    let (first_len, second_len) = (first.len() as u32, second.len() as u32);
    let bytes = (first + &second).into_bytes();
    (bytes, GuestPtr::new((0, first_len)), GuestPtr::new((first_len, second_len)))
}
