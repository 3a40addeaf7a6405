//! What tasks can reach outside of their sandbox: nothing, unless it is granted.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Repr;
use crate::sys::path_access;
pub use crate::sys::path_access::Access;
use crate::{Error, Result};

/// What the WASI functions of a job's tasks can reach. The default is nothing: no file but the task's
/// own (see [`Limits::scratch_bytes`](crate::Limits::scratch_bytes) and [`Task::inputs`](crate::Task::inputs)), an empty environment, a clock
/// that starts at [`Job::clock_start`](crate::Job::clock_start) for each task, and random numbers that depend only on [`Job::seed`](crate::Job::seed) and the task's
/// position.
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
    /// Directories, with everything in them.
    pub directories: Vec<Directory>,
    /// Environment variables: name and value.
    pub environment: Vec<(String, String)>,
    /// Whether tasks see the real time, instead of a clock that is the same in every run.
    pub clock: bool,
    /// Whether tasks get real random numbers, instead of those that follow from the seed.
    pub random: bool,
}

impl Grants {
    /// Whether results depend on nothing but the job and the task.
    pub fn are_pure(&self) -> bool {
        self.directories.is_empty() && !self.clock && !self.random
    }
}

/// An open directory that tasks see under another name. They cannot leave it: `..` and symbolic links do not lead out. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Directory {
    file: Arc<File>,
    guest_path: String,
    access: Access,
    /// Device and inode.
    id: (u64, u64),
    /// Its path when it was opened, without symbolic links.
    host_path: PathBuf,
}

impl Directory {
    /// Opens the directory `host_path` for tasks that call it `guest_path`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such directory, if it may not be used, or if `guest_path` is empty or has a NUL byte.
    pub fn open(host_path: impl AsRef<Path>, guest_path: impl Into<String>, access: Access) -> Result<Directory> {
        let (host_path, guest_path) = (host_path.as_ref(), guest_path.into());
        if guest_path.is_empty() || guest_path.contains('\0') {
            return Err(Error::request(format!(
                "a guest cannot see a directory as {guest_path:?}: give a name that is not empty and has no NUL byte"
            )));
        }
        let open = || {
            let file = path_access::open_directory(host_path)?;
            let metadata = file.metadata()?;
            Ok((file, (metadata.dev(), metadata.ino()), host_path.canonicalize()?))
        };
        let (file, id, whole_path) = open().map_err(|error| Repr::file("cannot grant directory", host_path, error))?;
        Ok(Directory { file: Arc::new(file), guest_path, access, id, host_path: whole_path })
    }

    /// What tasks call it.
    pub fn guest_path(&self) -> &str {
        &self.guest_path
    }

    /// What tasks may do in it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether this directory lets tasks write to this path of the host.
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

/// Equal if they grant access to the same directory, in the same way. The guest's name for it does not matter.
impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.access) == (other.id, other.access)
    }
}

impl Eq for Directory {}
