//! Files that are kept from one run to the next in a directory of this user's own, under names made of hashes.
//!
//! A file is written under another name in the same directory, and renamed. A reader sees all of it or nothing, whoever else writes
//! the same one and whenever a process dies.

use std::fs::{File, FileTimes, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::sys::private_dir::{PrivateDir, Unusable, owned_by_us};

/// What the names of files that are being written begin with.
const TEMPORARY_PREFIX: &str = ".new-";
/// A temporary file of this age belongs to a process that was killed.
pub(crate) const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);
/// How exactly the time of last use is kept; finer would write to the disk on every run.
const USE_GRANULE: Duration = Duration::from_secs(60);

/// A directory of such files. It belongs to this user and can be written by nobody else, and is reached only through the descriptor
/// that was checked.
#[derive(Debug)]
pub(crate) struct Kept(PrivateDir);

/// A file of such a directory.
#[derive(Debug)]
pub(crate) struct Found {
    pub name: String,
    pub size_bytes: u64,
    /// When it was last used, to the minute.
    pub used: SystemTime,
}

impl Found {
    /// The hash by which it is named, in hexadecimal digits, where the rest of its name is this.
    pub fn key(&self, suffix: &str) -> Option<&str> {
        let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.name.strip_suffix(suffix).filter(is_key)
    }

    /// Whether somebody writes it, or died when it was written.
    pub fn is_temporary(&self) -> bool {
        self.name.starts_with(TEMPORARY_PREFIX)
    }

    /// Whether somebody died when it was written.
    pub fn is_abandoned(&self, now: SystemTime) -> bool {
        self.is_temporary() && self.is_unused_for(ABANDONED_AFTER, now)
    }

    /// Whether it was last used longer ago than this.
    pub fn is_unused_for(&self, time: Duration, now: SystemTime) -> bool {
        now.duration_since(self.used).is_ok_and(|age| age > time)
    }
}

impl Kept {
    /// Opens and checks a directory.
    pub fn open(dir: &Path) -> Result<Kept, Unusable> {
        PrivateDir::open(dir).map(Kept)
    }

    /// Opens and checks a directory, and makes it, with mode 0700, where there is none yet.
    pub fn create(dir: &Path) -> Result<Kept, Unusable> {
        PrivateDir::open_or_create(dir).map(Kept)
    }

    /// The directory, as it was given.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The file of this name, where there is one.
    pub fn file(&self, name: &str) -> Option<(File, Metadata)> {
        let file = File::open(self.0.join(name)).ok()?;
        let metadata = file.metadata().ok()?;
        // The directory may have been open to others in former times.
        (metadata.is_file() && owned_by_us(&metadata)).then_some((file, metadata))
    }

    /// Notes that a file was used.
    pub fn note_use(file: &File, metadata: &Metadata) {
        let now = SystemTime::now();
        if metadata.modified().is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > USE_GRANULE)) {
            // On a read-only disk the time stays as it is, and the file is as good.
            let _ = file.set_times(FileTimes::new().set_modified(now));
        }
    }

    /// Writes the file of this name.
    ///
    /// # Errors
    ///
    /// Returns an error if `fill` fails or the system refuses it. Nothing is left behind.
    pub fn write(&self, name: &str, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let builder = &mut tempfile::Builder::new();
        let file = builder.prefix(TEMPORARY_PREFIX).tempfile_in(self.0.through_descriptor());
        let mut file = file.map_err(without_path)?;
        fill(file.as_file_mut())?;
        file.persist(self.0.join(name)).map_err(|error| without_path(error.error))?;
        Ok(())
    }

    /// Removes the file of this name; says whether it was there.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match std::fs::remove_file(self.0.join(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Looks at all files of the directory, others' too.
    pub fn each(&self, mut look: impl FnMut(Found)) -> io::Result<()> {
        for entry in std::fs::read_dir(self.0.through_descriptor())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Another process may be clearing the directory at the same time.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                look(Found { name, size_bytes: metadata.len(), used: metadata.modified()? });
            }
        }
        Ok(())
    }
}

/// The same error without the name of a temporary file, which says nothing to a user.
pub(crate) fn without_path(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() { error } else { error.kind().into() }
}

/// Why a directory is not used, because `what` from it would be trusted.
pub(crate) fn unusable(dir: &Path, problem: &Unusable, what: &str) -> String {
    let dir = dir.display();
    match problem {
        Unusable::Missing => format!("cache directory {dir} went away while it was opened"),
        Unusable::Unsafe(why) => format!(
            "cache directory {dir} is not used, because {what} from it would be trusted: it {why}, \
             or name another directory with WRUN_CACHE_DIR"
        ),
        Unusable::System(error) => format!("cache directory {dir} cannot be used: {error}"),
    }
}
