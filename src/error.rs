//! The library's error: what stops a request before or besides its tasks. A failing task is a value, not an `Error`.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::ipc::Setting;

/// Why a request could not be carried out.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Kind);

/// What `main` prints of an error that it returns: the message and its causes, on one line.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        match self.setting() {
            Some(setting) => write!(f, "; {}", setting.advice()),
            None => Ok(()),
        }
    }
}

/// The kinds behind [`Error`]; private, so that they can grow.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    /// The request itself is wrong (a usage error on the command line).
    #[error("{0}")]
    Request(String),
    /// A file could not be opened, read or used.
    #[error("{what} {path:?}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    /// The operating system refused something.
    #[error("{what}")]
    System { what: &'static str, source: std::io::Error },
    /// The module cannot be used: invalid, too slow to compile, no such function, an import that wrun does not give.
    #[error("{0}")]
    Module(String),
    /// Workers cannot be started or keep dying, or a backend fails otherwise.
    #[error("{0}")]
    Workers(String),
    /// One of the others, and what to change so that the request gets what it was refused.
    #[error("{0}")]
    Refused(Box<Kind>, Setting),
}

impl Kind {
    /// The same of a file that is to be written.
    pub(crate) fn writable_file(what: &'static str, path: &Path, source: io::Error) -> Self {
        let source = match (source.kind(), source.raw_os_error()) {
            (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem, Some(_)) => io::Error::new(
                ErrorKind::PermissionDenied,
                "permission denied; make it readable and writable for this user",
            ),
            (ErrorKind::NotFound, _) => io::Error::new(ErrorKind::NotFound, "no such directory; make it first"),
            _ => source,
        };
        Kind::File { what, path: path.to_owned(), source }
    }

    /// A file that could not be used; says what to do where the system's words do not.
    pub(crate) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        let source = match source.kind() {
            ErrorKind::NotFound => io::Error::new(ErrorKind::NotFound, "no such file; check the path"),
            ErrorKind::PermissionDenied => {
                io::Error::new(ErrorKind::PermissionDenied, "permission denied; make it readable for this user")
            }
            _ => source,
        };
        Kind::File { what, path: path.to_owned(), source }
    }
}

impl Error {
    /// A request that is wrong in itself, said in one line.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Kind::Request(message.into()).into()
    }

    /// A module that cannot be used.
    pub(crate) fn module(message: impl Into<String>) -> Self {
        Kind::Module(message.into()).into()
    }

    /// A refused system call.
    pub(crate) fn system(what: &'static str, source: impl Into<std::io::Error>) -> Self {
        Kind::System { what, source: source.into() }.into()
    }

    /// A backend that cannot run tasks (any more), said in one line: for [`Backend`](crate::backend::Backend)s.
    pub fn backend(message: impl Into<String>) -> Self {
        Kind::Workers(message.into()).into()
    }

    /// The same error, with what to change so that the request gets what it was refused.
    pub(crate) fn because_of(self, setting: Setting) -> Self {
        Kind::Refused(Box::new(self.0), setting).into()
    }

    /// What to change so that the request gets what it was refused, if that is known. Its [`advice`](Setting::advice) is no part of the
    /// message.
    pub fn setting(&self) -> Option<Setting> {
        match self.0 {
            Kind::Refused(_, setting) => Some(setting),
            _ => None,
        }
    }

    /// Whether the request itself was wrong, as opposed to something that failed while it was carried out.
    pub fn is_request(&self) -> bool {
        let kind = if let Kind::Refused(kind, _) = &self.0 { kind } else { &self.0 };
        matches!(kind, Kind::Request(_))
    }
}
