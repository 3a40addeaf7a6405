//! Which files a command reads and writes. A file that is written has one role: a trace that replaced the module, or results that
//! were appended to their own input, would destroy it without a word.
//!
//! Files are compared by device and inode before any of them is created, truncated or extended. Pipes, devices and terminals may have
//! several roles.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::errors::usage;

/// How many symbolic links are followed to a file that is missing; Linux follows as many (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The endings of the names of files in a directory for results.
const RESULT_ENDINGS: [&str; 4] = ["out", "err", "log", "partial"];

/// The files that a command writes, each with its role.
#[derive(Clone, Debug, Default)]
pub struct FileRoles {
    written: Vec<Written>,
    /// The directory for results, if it exists.
    results: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
struct Written {
    file: FileIdentity,
    /// Where it was found, if it is not a stream.
    path: Option<PathBuf>,
    role: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only this role may use it.
    File,
    /// Shared memory may have several names.
    Shared,
    /// Standard output and standard error may go to the same file.
    Stream,
}

/// What tells a file from others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FileIdentity {
    /// Device and inode.
    Existing(u64, u64),
    /// The device and inode of the directory in which it will be created, and its name there.
    Missing(u64, u64, OsString),
}

impl FileRoles {
    /// Notes the directory in which results replace files of their names.
    pub fn results_in(&mut self, directory: &Path) {
        self.results = fs::metadata(directory).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    }

    /// Notes a file that is written.
    ///
    /// # Errors
    ///
    /// If it is written in another role as well.
    pub fn write(&mut self, role: &str, path: &Path) -> anyhow::Result<()> {
        self.add(role, path, Kind::File)
    }

    /// Notes a file of shared memory, which may have several names.
    ///
    /// # Errors
    ///
    /// If it is written in another role as well.
    pub fn share(&mut self, role: &str, path: &Path) -> anyhow::Result<()> {
        self.add(role, path, Kind::Shared)
    }

    fn add(&mut self, role: &str, path: &Path, kind: Kind) -> anyhow::Result<()> {
        if let Some(problem) = self.problem(role, path, kind) {
            return Err(usage(problem));
        }
        if let Some(file) = FileIdentity::of(path) {
            self.written.push(Written { file, path: Some(path.to_owned()), role: role.to_owned(), kind });
        }
        Ok(())
    }

    /// Notes standard output or standard error.
    ///
    /// # Errors
    ///
    /// If it goes to a file that is written in another role.
    pub fn write_stream(&mut self, role: &str, stream: impl AsFd) -> anyhow::Result<()> {
        let Some(file) = FileIdentity::of_stream(stream) else { return Ok(()) };
        if let Some(other) = self.other_role(&file, Kind::Stream) {
            return Err(usage(format!("{role} goes to the file of {other}; send one of them elsewhere")));
        }
        self.written.push(Written { file, path: None, role: role.to_owned(), kind: Kind::Stream });
        Ok(())
    }

    /// Checks a file that is read.
    ///
    /// # Errors
    ///
    /// If it is written as well.
    pub fn read(&self, role: &str, path: &Path) -> anyhow::Result<()> {
        self.problem(role, path, Kind::File).map_or(Ok(()), |problem| Err(usage(problem)))
    }

    /// Checks the file that standard input comes from.
    ///
    /// # Errors
    ///
    /// If it is written as well.
    pub fn read_stream(&self, role: &str, stream: impl AsFd) -> anyhow::Result<()> {
        match FileIdentity::of_stream(stream).and_then(|file| self.other_role(&file, Kind::File)) {
            Some(other) => {
                Err(usage(format!("{role} comes from the file of {other}; give another file for one of them")))
            }
            None => Ok(()),
        }
    }

    /// Why a file cannot have this role, if it has another one, while the command runs: files may have been created or replaced.
    pub fn problem_of(&self, role: &str, path: &Path) -> Option<String> {
        let now = |written: &Written| match &written.path {
            Some(path) => FileIdentity::of(path).map(|file| Written { file, ..written.clone() }),
            None => Some(written.clone()),
        };
        let roles = FileRoles { written: self.written.iter().filter_map(now).collect(), results: self.results };
        roles.problem(role, path, Kind::File)
    }

    fn problem(&self, role: &str, path: &Path, kind: Kind) -> Option<String> {
        if self.results.is_some_and(|results| is_result(path, results)) {
            return Some(format!(
                "{role} {path:?} is in the directory for results and may be replaced by one; move it to another directory"
            ));
        }
        if self.written.is_empty() {
            return None;
        }
        let other = self.other_role(&FileIdentity::of(path)?, kind)?;
        Some(format!("{role} and {other} are the same file, {path:?}; give another file for one of them"))
    }

    fn other_role(&self, file: &FileIdentity, kind: Kind) -> Option<&str> {
        let excludes = |other: &&Written| other.file == *file && (kind == Kind::File || other.kind != kind);
        self.written.iter().find(excludes).map(|other| other.role.as_str())
    }
}

/// Whether both paths lead to one regular file.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    FileIdentity::of(a).is_some_and(|file| FileIdentity::of(b) == Some(file))
}

impl FileIdentity {
    /// The file that the path leads to, or would create; `None` for what is not a regular file.
    fn of(path: &Path) -> Option<FileIdentity> {
        match fs::metadata(path) {
            Ok(metadata) => FileIdentity::of_metadata(&metadata),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => FileIdentity::of_missing(path),
            Err(_) => None,
        }
    }

    fn of_stream(stream: impl AsFd) -> Option<FileIdentity> {
        let file = File::from(stream.as_fd().try_clone_to_owned().ok()?);
        FileIdentity::of_metadata(&file.metadata().ok()?)
    }

    fn of_metadata(metadata: &Metadata) -> Option<FileIdentity> {
        metadata.is_file().then(|| FileIdentity::Existing(metadata.dev(), metadata.ino()))
    }

    fn of_missing(path: &Path) -> Option<FileIdentity> {
        let mut path = path.to_owned();
        // A link to a file that is missing creates that file.
        for _ in 0..MAX_LINKS {
            let Ok(target) = fs::read_link(&path) else { break };
            path = directory_of(&path).join(target);
        }
        let directory = fs::metadata(directory_of(&path)).ok()?;
        Some(FileIdentity::Missing(directory.dev(), directory.ino(), path.file_name()?.to_owned()))
    }
}

fn directory_of(path: &Path) -> PathBuf {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Whether a result may replace the file: it is in that directory, and its name is like one of a result.
fn is_result(path: &Path, results: (u64, u64)) -> bool {
    let begins_with_index =
        path.file_name().is_some_and(|name| name.as_bytes().first().is_some_and(u8::is_ascii_digit));
    let ends_like_one = path.extension().is_some_and(|ending| RESULT_ENDINGS.iter().any(|known| ending == *known));
    let directory = || fs::metadata(directory_of(path)).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    begins_with_index && ends_like_one && directory() == Some(results)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_that_is_written_has_one_role_under_any_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "x").unwrap();
        fs::hard_link(path("file"), path("hard")).unwrap();
        symlink("file", path("soft")).unwrap();
        symlink("missing", path("dangling")).unwrap();
        let mut roles = FileRoles::default();
        roles.write("the trace", &path("file")).unwrap();
        roles.write("the job log", &path("missing")).unwrap();
        for (name, other) in [
            ("file", "the trace"),
            ("./file", "the trace"),
            ("hard", "the trace"),
            ("soft", "the trace"),
            ("missing", "the job log"),
            ("dangling", "the job log"),
        ] {
            let said = roles.read("the module", &path(name)).unwrap_err().to_string();
            assert!(said.starts_with(&format!("the module and {other} are the same file")), "{said}");
            assert!(roles.clone().write("--out", &path(name)).is_err(), "{name}");
        }
        fs::write(path("other"), "x").unwrap();
        for name in ["other", "absent", "nowhere/file"] {
            assert!(roles.read("the module", &path(name)).is_ok(), "{name}");
        }
        // A device keeps nothing that could be destroyed.
        roles.write("the trace", Path::new("/dev/null")).unwrap();
        roles.write("the job log", Path::new("/dev/null")).unwrap();
    }

    #[test]
    fn shared_memory_and_streams_may_share_a_file_among_themselves() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut roles = FileRoles::default();
        roles.share("--shared a", file.path()).unwrap();
        roles.share("--shared b", file.path()).unwrap();
        assert!(roles.write("--out", file.path()).is_err());
        assert!(roles.write_stream("standard output", file.as_file()).is_err());
        let mut roles = FileRoles::default();
        roles.write_stream("standard output", file.as_file()).unwrap();
        roles.write_stream("standard error", file.as_file()).unwrap();
        assert!(roles.read("the items file", file.path()).is_err());
        assert!(roles.read_stream("standard input", file.as_file()).is_err());
    }

    #[test]
    fn files_that_a_result_may_replace_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut roles = FileRoles::default();
        roles.results_in(directory.path());
        for name in ["0.out", "12-a.csv.err", "3.log", "4.partial"] {
            let said = roles.read("the item", &directory.path().join(name)).unwrap_err().to_string();
            assert!(said.contains("is in the directory for results"), "{said}");
        }
        for name in ["joblog", "a.out", "0.txt", "sub/0.out"] {
            roles.read("the item", &directory.path().join(name)).unwrap();
        }
    }
}
