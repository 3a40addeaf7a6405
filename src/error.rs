//! The library's error: what stops a request. A failing task is a value, not an `Error`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::ipc::Setting;
use crate::sys::socket::is_no_room;

/// Why a request could not be carried out.
///
/// The message names what failed and says what to do. [`source`](std::error::Error::source) returns the system's error, if there
/// is one.
///
/// ```
/// use wrun::{ErrorKind, Input};
///
/// let error = Input::open("/no/such/file").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::File);
/// assert_eq!(error.to_string(), r#"cannot use input "/no/such/file""#);
/// ```
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Repr);

/// What kind of thing failed; see [`Error::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong, so that repeating it cannot help.
    Request,
    /// A file cannot be opened, read or used.
    File,
    /// The operating system refused something else.
    System,
    /// The module cannot be used: it is invalid, takes too long to compile, or needs what wrun does not provide.
    Module,
    /// The backend cannot run tasks: workers do not start or keep dying, for example.
    Backend,
}

/// The message and its causes, on one line. This is what `main` prints if it returns an error.
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

/// What an [`Error`] holds, which is private so that it can change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Repr {
    /// See [`ErrorKind::Request`].
    #[error("{0}")]
    Request(String),
    /// See [`ErrorKind::File`].
    #[error("{what} {path:?}", path = path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    /// See [`ErrorKind::System`].
    #[error("{what}")]
    System { what: &'static str, source: std::io::Error },
    /// See [`ErrorKind::Module`].
    #[error("{0}")]
    Module(String),
    /// A module whose initializer failed: the message, and where and after what it failed, in lines.
    #[error("{0}")]
    Initializer(String, String),
    /// See [`ErrorKind::Backend`].
    #[error("{0}")]
    Workers(String),
    /// One of the others, and what to change so that the request gets what it was refused.
    #[error("{0}")]
    Refused(Box<Repr>, Setting),
}

impl Repr {
    /// A file that cannot be written. The message says what to do if the system's does not.
    pub(crate) fn writable_file(what: &'static str, path: &Path, source: io::Error) -> Self {
        let source = match (source.kind(), source.raw_os_error()) {
            (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem, Some(_)) => io::Error::new(
                io::ErrorKind::PermissionDenied,
                "permission denied; make it readable and writable for this user",
            ),
            (io::ErrorKind::NotFound, _) => io::Error::new(io::ErrorKind::NotFound, "no such directory; make it first"),
            _ => source,
        };
        Repr::File { what, path: path.to_owned(), source }
    }

    /// A file that cannot be read. The message says what to do if the system's does not.
    pub(crate) fn file(what: &'static str, path: &Path, source: io::Error) -> Self {
        let source = match source.kind() {
            io::ErrorKind::NotFound => io::Error::new(io::ErrorKind::NotFound, "no such file; check the path"),
            io::ErrorKind::PermissionDenied => {
                io::Error::new(io::ErrorKind::PermissionDenied, "permission denied; make it readable for this user")
            }
            _ => source,
        };
        Repr::File { what, path: path.to_owned(), source }
    }
}

impl Error {
    /// A wrong request, described in one line.
    pub(crate) fn request(message: impl Into<String>) -> Self {
        Repr::Request(message.into()).into()
    }

    /// A module that cannot be used.
    pub(crate) fn module(message: impl Into<String>) -> Self {
        Repr::Module(message.into()).into()
    }

    /// A refused system call.
    pub(crate) fn system(what: &'static str, source: impl Into<std::io::Error>) -> Self {
        Repr::System { what, source: source.into() }.into()
    }

    /// A backend that cannot run tasks, or no more tasks, described in one line. For implementations of
    /// [`Backend`](crate::backend::Backend).
    pub fn backend(message: impl Into<String>) -> Self {
        Repr::Workers(message.into()).into()
    }

    /// The same error, with what to change so that the request gets what it was refused.
    pub(crate) fn because_of(self, setting: Setting) -> Self {
        Repr::Refused(Box::new(self.0), setting).into()
    }

    /// What to change so that the request gets what it was refused, if that is known. Its [`advice`](Setting::advice) is no part of the
    /// message.
    pub fn setting(&self) -> Option<Setting> {
        match self.0 {
            Repr::Refused(_, setting) => Some(setting),
            _ => None,
        }
    }

    /// If a module's initializer failed, its stack, one frame per line, innermost first, and after a `|` each what it logged last.
    pub fn backtrace(&self) -> Option<&str> {
        self.0.backtrace()
    }

    /// Whether this process may open no more files.
    pub(crate) fn is_lack_of_descriptors(&self) -> bool {
        match &self.0 {
            Repr::System { source, .. } | Repr::File { source, .. } => is_no_room(source),
            _ => false,
        }
    }

    /// What kind of thing failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind()
    }
}

impl Repr {
    fn backtrace(&self) -> Option<&str> {
        match self {
            Repr::Initializer(_, backtrace) => Some(backtrace),
            Repr::Refused(repr, _) => repr.backtrace(),
            _ => None,
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Repr::Refused(repr, _) => repr.kind(),
            Repr::Request(_) => ErrorKind::Request,
            Repr::File { .. } => ErrorKind::File,
            Repr::System { .. } => ErrorKind::System,
            Repr::Module(_) | Repr::Initializer(..) => ErrorKind::Module,
            Repr::Workers(_) => ErrorKind::Backend,
        }
    }
}
