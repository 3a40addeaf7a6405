//! What tasks may use of the world outside: nothing, unless it is granted.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Kind;
use crate::sys::path_access;
pub use crate::sys::path_access::Access;
use crate::{Error, Result};

/// What the WASI functions of a job's tasks can reach. The default is nothing: no file, an empty environment, a clock
/// that begins at 0 for each task, and random numbers that depend on [`Job::seed`](crate::Job::seed) and the task's
/// position alone.
///
/// ```no_run
/// use wrun::{Access, Directory, Grants, Job, Module};
///
/// let module = Module::from_file("convert.wasm")?;
/// let mut grants = Grants::default();
/// grants.directories.push(Directory::open("/srv/pictures", "/in", Access::ReadOnly)?);
/// grants.environment.push(("LANG".into(), "C".into()));
/// let job = Job::new(&module).grants(grants);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Directories with all that is in them.
    pub directories: Vec<Directory>,
    /// Environment variables: name and value.
    pub environment: Vec<(String, String)>,
    /// The real time, instead of a clock that is the same for every run.
    pub clock: bool,
    /// Real random numbers, instead of those that follow from the seed.
    pub random: bool,
}

impl Grants {
    /// Whether no task's result can depend on something that is neither in the job nor in the task.
    pub fn are_pure(&self) -> bool {
        self.directories.is_empty() && !self.clock && !self.random
    }
}

/// An open directory that tasks see under a name of their own, and nothing outside of it: `..` and symbolic links do not
/// lead out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Directory {
    file: Arc<File>,
    guest_path: String,
    access: Access,
    /// Device and inode.
    id: (u64, u64),
    /// Where it was when it was opened, without links.
    host_path: PathBuf,
}

impl Directory {
    /// Opens the directory `host_path` for tasks that call it `guest_path`.
    ///
    /// # Errors
    ///
    /// Where there is no such directory or it may not be used; where the guest's name for it is empty or has a NUL byte.
    pub fn open(host_path: impl AsRef<Path>, guest_path: impl Into<String>, access: Access) -> Result<Directory> {
        let (host_path, guest_path) = (host_path.as_ref(), guest_path.into());
        if guest_path.is_empty() || guest_path.contains('\0') {
            return Err(Error::request(format!("a directory cannot be called {guest_path:?} in a guest")));
        }
        let open = || {
            let file = path_access::open_directory(host_path)?;
            let metadata = file.metadata()?;
            Ok((file, (metadata.dev(), metadata.ino()), host_path.canonicalize()?))
        };
        let (file, id, whole_path) = open().map_err(|error| Kind::file("cannot grant directory", host_path, error))?;
        Ok(Directory { file: Arc::new(file), guest_path, access, id, host_path: whole_path })
    }

    /// What tasks call it.
    pub fn guest_path(&self) -> &str {
        &self.guest_path
    }

    /// What may be done in it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether tasks may write what is at this path of the host, as far as this directory is concerned.
    pub fn is_writable_at(&self, host_path: impl AsRef<Path>) -> bool {
        let inside = host_path.as_ref().canonicalize().is_ok_and(|path| path.starts_with(&self.host_path));
        self.access == Access::ReadWrite && inside
    }

    /// Device and inode.
    pub(crate) fn id(&self) -> (u64, u64) {
        self.id
    }

    pub(crate) fn host_path(&self) -> &Path {
        &self.host_path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }
}

/// Whether a process that may use the one may use exactly the other; what it is called in the guest does not matter.
impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.access) == (other.id, other.access)
    }
}

impl Eq for Directory {}
