//! A directory that only this user can write to.
//!
//! Sources: open(2), proc(5) `/proc/self/fd`.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::open_path;

/// Permission bits that let somebody else write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// An open directory that was found to belong to this user and to be writable by nobody else.
///
/// Paths from [`PrivateDir::join`] go through the open descriptor. The directory that was checked is therefore the one that is used,
/// even if somebody who may write to a parent directory puts another one in its place.
#[derive(Debug)]
pub struct PrivateDir {
    dir: File,
    shown: PathBuf,
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// There is none.
    Missing,
    /// It exists, but somebody else could write to it; the text says who and what to do.
    Unsafe(String),
    /// It cannot be opened or created.
    System(io::Error),
}

impl PrivateDir {
    /// Opens and checks a directory.
    pub fn open(path: &Path) -> Result<Self, Unusable> {
        let open = || {
            let dir = open_path::open_directory(path)?;
            let metadata = dir.metadata()?;
            Ok((dir, metadata))
        };
        let (dir, metadata) = open().map_err(|error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::System(error),
        })?;
        if !metadata.is_dir() {
            return Err(Unusable::System(io::ErrorKind::NotADirectory.into()));
        }
        if !owned_by_us(&metadata) {
            return Err(Unusable::Unsafe(format!("belongs to another user (uid {})", metadata.uid())));
        }
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            let mode = metadata.mode() & 0o7777;
            return Err(Unusable::Unsafe(format!("can be written by other users (mode {mode:04o}); make it 0700")));
        }
        Ok(PrivateDir { dir, shown: path.to_path_buf() })
    }

    /// Opens and checks a directory; if it is missing, creates it and its parents, with mode 0700.
    pub fn open_or_create(path: &Path) -> Result<Self, Unusable> {
        match Self::open(path) {
            Err(Unusable::Missing) => {}
            done => return done,
        }
        create(path).map_err(Unusable::System)?;
        Self::open(path)
    }

    /// The path as it was given, for messages.
    pub fn path(&self) -> &Path {
        &self.shown
    }

    /// A path to an entry of this directory, whatever happens to the directory's name.
    pub fn join(&self, name: &str) -> PathBuf {
        self.through_descriptor().join(name)
    }

    /// A path to this directory by its descriptor.
    pub fn through_descriptor(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.dir.as_raw_fd()))
    }
}

/// Creates a directory and its parents, as far as they are missing, with mode 0700 whatever the umask is.
fn create(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists()) {
        create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o700)),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a file or directory belongs to the user that this process acts as.
pub fn owned_by_us(metadata: &std::fs::Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
}
