//! Files that are kept from one run to the next in a private directory of this user, under names made of hashes.
//!
//! A file is written under another name in the same directory, and then renamed. A reader sees all of it or nothing, no matter who
//! else writes the same file or when a process dies.

use std::fs::{File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::sys::open_path;
use crate::sys::private_dir::{PrivateDir, Unusable, owned_by_us};

/// The prefix of the names of files that are being written.
const TEMPORARY_PREFIX: &str = ".new-";
/// A temporary file that is older than this belongs to a process that was killed.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);
/// The resolution of the time of last use; a finer one would cause a disk write on every run.
const USE_GRANULE: Duration = Duration::from_secs(60);

/// A directory of such files. It belongs to this user, nobody else can write to it, and it is accessed only through the descriptor
/// that was checked.
#[derive(Debug)]
pub(crate) struct PrivateFiles(PrivateDir);

/// A file of such a directory.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    pub name: String,
    pub size_bytes: u64,
    /// When it was last used, to the minute.
    pub used: SystemTime,
}

impl PrivateFile {
    /// The hash in its name, in hexadecimal digits, if the rest of the name is `suffix`.
    pub fn key(&self, suffix: &str) -> Option<&str> {
        let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.name.strip_suffix(suffix).filter(is_key)
    }

    /// Whether a process is writing it, or died while writing it.
    pub fn is_temporary(&self) -> bool {
        self.name.starts_with(TEMPORARY_PREFIX)
    }

    /// Whether a process died while writing it.
    pub fn is_abandoned(&self, now: SystemTime) -> bool {
        self.is_temporary() && self.is_unused_for(ABANDONED_AFTER, now)
    }

    /// Whether it was last used longer ago than this.
    pub fn is_unused_for(&self, time: Duration, now: SystemTime) -> bool {
        now.duration_since(self.used).is_ok_and(|age| age > time)
    }
}

impl PrivateFiles {
    /// Opens and checks a directory.
    pub fn open(dir: &Path) -> Result<PrivateFiles, Unusable> {
        PrivateDir::open(dir).map(PrivateFiles)
    }

    /// Opens and checks a directory, and creates it with mode 0700 if it is missing.
    pub fn create(dir: &Path) -> Result<PrivateFiles, Unusable> {
        PrivateDir::open_or_create(dir).map(PrivateFiles)
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The file of this name, if there is one.
    pub fn file(&self, name: &str) -> Option<(File, Metadata)> {
        let file = open_path::open(&self.0.join(name), OpenOptions::new().read(true)).ok()?;
        let metadata = file.metadata().ok()?;
        // The directory may once have been open to others.
        (metadata.is_file() && owned_by_us(&metadata)).then_some((file, metadata))
    }

    /// Notes that a file was used. Returns the time of last use that it set, unless one was set shortly before.
    pub fn note_use(file: &File, metadata: &Metadata) -> Option<SystemTime> {
        let now = SystemTime::now();
        let is_due = |used| now.duration_since(used).is_ok_and(|age| age > USE_GRANULE);
        // On a read-only disk the time stays as it is, which does no harm.
        let set = || file.set_times(FileTimes::new().set_modified(now)).is_ok();
        (metadata.modified().is_ok_and(is_due) && set()).then_some(now)
    }

    /// Writes the file of this name.
    ///
    /// # Errors
    ///
    /// If `fill` or a system call fails; then nothing is left behind.
    pub fn write(&self, name: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let builder = &mut tempfile::Builder::new();
        let file = builder.prefix(TEMPORARY_PREFIX).tempfile_in(self.0.through_descriptor());
        let mut file = file.map_err(without_path)?;
        // Whatever the umask is: other processes of this user read it.
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
        fill(file.as_file_mut())?;
        file.persist(self.0.join(name)).map_err(|error| without_path(error.error))?;
        Ok(())
    }

    /// Removes the file of this name; returns whether it existed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match std::fs::remove_file(self.0.join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls `visit` with each file of the directory, even if it is not ours.
    pub fn each(&self, mut visit: impl FnMut(PrivateFile)) -> io::Result<()> {
        for entry in std::fs::read_dir(self.0.through_descriptor())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Another process may be clearing the directory at the same time.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                visit(PrivateFile { name, size_bytes: metadata.len(), used: metadata.modified()? });
            }
        }
        Ok(())
    }
}

/// The same error without the name of a temporary file, which would mean nothing to a user.
pub(crate) fn without_path(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() { error } else { error.kind().into() }
}

/// The message that says why a directory is not used; `what` from it would be trusted.
pub(crate) fn unusable(dir: &Path, problem: &Unusable, what: &str) -> String {
    let dir = dir.display();
    match problem {
        Unusable::Missing => format!("cache directory {dir} disappeared while it was being opened"),
        Unusable::Unsafe(why) => format!(
            "cache directory {dir} is not used, because {what} from it would be trusted: it {why}, \
             or name another directory with WRUN_CACHE_DIR"
        ),
        Unusable::System(error) => format!("cache directory {dir} cannot be used: {error}"),
    }
}
