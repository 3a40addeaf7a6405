//! The error type of the SDK.

use std::fmt;

/// Why an extractor or a call to the SDK failed; a task can return it, or make errors of its own.
///
/// ```
/// # use wrun_guest::Error;
/// let error = Error::new(format_args!("line {}: no such column", 3));
/// assert_eq!(error.to_string(), "line 3: no such column");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Message(String),
    OutOfRange { input: u32, start: u64, end: u64, len: u64 },
    TooLarge { len: u64, max: u64 },
    PartialSlice { len: usize, size: usize, ty: &'static str },
    PartialElement { len: usize, size: usize, ty: &'static str },
    Misaligned { misalignment: usize, align: usize, ty: &'static str },
}

impl Error {
    /// An error with this text.
    #[must_use]
    pub fn new(message: impl fmt::Display) -> Self {
        Kind::Message(message.to_string()).into()
    }

    pub(crate) fn out_of_range(input: u32, start: u64, end: u64, len: u64) -> Self {
        Kind::OutOfRange { input, start, end, len }.into()
    }

    pub(crate) fn too_large(len: u64, max: u64) -> Self {
        Kind::TooLarge { len, max }.into()
    }

    pub(crate) fn partial_element(len: usize, size: usize, ty: &'static str) -> Self {
        Kind::PartialElement { len, size, ty }.into()
    }

    pub(crate) fn partial_slice(len: usize, size: usize, ty: &'static str) -> Self {
        Kind::PartialSlice { len, size, ty }.into()
    }

    pub(crate) fn misaligned(misalignment: usize, align: usize, ty: &'static str) -> Self {
        Kind::Misaligned { misalignment, align, ty }.into()
    }
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Self {
        Error { kind }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Message(message) => f.write_str(message),
            Kind::OutOfRange { input, start, end, len } => {
                write!(f, "range {start}..{end} is not within input {input}, which has {len} bytes")
            }
            Kind::TooLarge { len, max } => {
                write!(f, "{len} bytes are more than can be mapped at once ({max}); use `chunks`, `lines` or --split")
            }
            Kind::PartialElement { len, size, ty } => {
                write!(f, "{len} bytes are not a whole number of {ty} values ({size} bytes each)")?;
                write_split_hint(f, *size)
            }
            Kind::PartialSlice { len, size, ty } => {
                write!(
                    f,
                    "{len} bytes are not a whole number of {ty} values ({size} bytes each); make --slice or the pieces a multiple of that"
                )
            }
            Kind::Misaligned { misalignment, align, ty } => {
                write!(
                    f,
                    "the range starts {misalignment} bytes after a multiple of {align}, but {ty} needs that alignment"
                )?;
                write_split_hint(f, *align)
            }
        }
    }
}

fn write_split_hint(f: &mut fmt::Formatter<'_>, record: usize) -> fmt::Result {
    write!(f, "; when cutting files, use --split-at record:{record}")
}

impl std::error::Error for Error {}
