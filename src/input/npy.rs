//! Arrays in NumPy's `.npy` files, which are cut between rows.
//!
//! ```text
//! file    | header | row 0 | row 1 | row 2 | row 3 | ...
//! task      input 1        | input 0: rows 1..3     |         argument: path[1:3]
//! ```
//!
//! A task on rows gets the file's header as a second input, which tells it the type of the elements and the shape of the array. The
//! header is a range of the same file, so the task needs no other file, and nothing is copied.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use wrun_npy::{Dtype, Header, MAX_LEN};

use super::Input;
use crate::error::Repr;
use crate::{Error, Result};

/// An array in a `.npy` file: numbers of one type in C order. Cheap to clone.
///
/// ```
/// use wrun::input::Npy;
/// use wrun::{Input, SplitSize};
///
/// let mut file = b"\x93NUMPY\x01\x00\x42\x00".to_vec();
/// file.extend(format!("{:66}", "{'descr': '<i2', 'fortran_order': False, 'shape': (3, 2)}").bytes());
/// file.extend([1i16, 2, 3, 4, 5, 6].iter().flat_map(|number| number.to_le_bytes()));
///
/// let array = Npy::new(Input::from_bytes("a.npy", &file)?)?;
/// assert_eq!((array.dtype().to_string(), array.shape()), ("<i2".to_owned(), &[3, 2][..]));
/// assert_eq!(array.rows(1..3)?.len(), 8);
/// let tasks: Vec<_> = array.split(SplitSize::Pieces(2))?.map(|task| task.argument).collect();
/// assert_eq!((&tasks[0][..], &tasks[1][..]), (&b"a.npy[0:1]"[..], &b"a.npy[1:3]"[..]));
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Npy {
    file: Input,
    header: Arc<Header>,
}

impl Input {
    /// Opens a `.npy` file and reads its header.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Input::open`] and [`Npy::new`].
    pub fn npy(path: impl AsRef<Path>) -> Result<Npy> {
        Npy::new(Input::open(path)?)
    }
}

impl Npy {
    /// Reads the header at the start of an input. Bytes after the array are allowed, as in NumPy.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read, if it is not a `.npy` file of version 1.0, 2.0 or 3.0 that holds numbers in C
    /// order, or if it is shorter than its header says.
    pub fn new(file: Input) -> Result<Npy> {
        let header = read_header(&file)?;
        let needed = (header.len() as u64).checked_add(header.data_bytes());
        if needed.is_none_or(|needed| needed > file.len()) {
            return Err(Error::request(format!(
                "cannot use input {:?} as an array: its header announces {} bytes of data, but it has {}; the file was truncated",
                file.label(),
                header.data_bytes(),
                file.len() - header.len() as u64
            )));
        }
        Ok(Npy { file, header: Arc::new(header) })
    }

    /// The type of the elements.
    pub fn dtype(&self) -> Dtype {
        self.header.dtype()
    }

    /// The lengths of the axes; empty for a single number.
    pub fn shape(&self) -> &[u64] {
        self.header.shape()
    }

    /// All data, without the header.
    pub fn data(&self) -> Input {
        let start = self.header.len() as u64;
        self.file.part(start, start + self.header.data_bytes())
    }

    /// Returns these rows, which are parts of the array along axis 0.
    ///
    /// # Errors
    ///
    /// Returns an error if the array has no axes, or if the range ends before it begins or after the last row.
    pub fn rows(&self, rows: Range<u64>) -> Result<Input> {
        let (count, row_bytes) = self.row()?;
        let Range { start, end } = rows;
        if start > end || end > count {
            return Err(Error::request(format!(
                "rows {start}:{end} are not in the array of input {:?}, which has {count} rows",
                self.file.label()
            )));
        }
        self.data().slice(start * row_bytes..end * row_bytes)
    }

    /// The file's header.
    pub(crate) fn header(&self) -> Input {
        self.file.part(0, self.header.len() as u64)
    }

    /// The name of rows for messages and arguments: `path[start:end]`.
    pub(crate) fn row_label(&self, rows: &Range<u64>) -> OsString {
        let mut label = self.file.label();
        label.push(format!("[{}:{}]", rows.start, rows.end));
        label
    }

    /// The number of rows, and the bytes of each.
    pub(crate) fn row(&self) -> Result<(u64, u64)> {
        match (self.header.rows(), self.header.row_bytes()) {
            (Some(rows), Some(bytes)) => Ok((rows, bytes)),
            // Only an array without rows can have a row length that does not fit into a number.
            (Some(rows), None) => Ok((rows, 0)),
            (None, _) => Err(Error::request(format!(
                "the array of input {:?} is a single number and has no rows; use the file whole",
                self.file.label()
            ))),
        }
    }
}

fn read_header(input: &Input) -> Result<Header> {
    let wanted = usize::try_from(input.len()).unwrap_or(MAX_LEN).min(MAX_LEN);
    let mut bytes = vec![0; wanted];
    let read = input.file().0.read_exact_at(&mut bytes, input.offset());
    read.map_err(|error| Repr::file("cannot read input", input.path(), shorter(error)))?;
    Header::parse(&bytes)
        .map_err(|error| Error::request(format!("cannot use input {:?} as an array: {error}", input.label())))
}

fn shorter(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => io::Error::new(ErrorKind::UnexpectedEof, "the file was truncated meanwhile"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[u64], data: &[u8]) -> Result<Npy> {
        let header = Header::encode(Dtype::parse("<i2").unwrap(), shape);
        Npy::new(Input::from_bytes("a.npy", &[&header[..], data].concat()).unwrap())
    }

    #[test]
    fn rows_are_ranges_of_the_file() {
        let array = array(&[5, 3], &[0; 30]).unwrap();
        assert_eq!((array.data().offset(), array.data().len()), (128, 30));
        let rows = array.rows(1..4).unwrap();
        assert_eq!((rows.offset(), rows.len()), (128 + 6, 18));
        assert!(array.rows(5..5).unwrap().is_empty());
        for range in [4..6, 6..6, 0..u64::MAX] {
            let error = array.rows(range).unwrap_err().to_string();
            assert!(error.ends_with(r#"are not in the array of input "a.npy", which has 5 rows"#), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_too_short_is_refused() {
        let error = array(&[5, 3], &[0; 29]).unwrap_err().to_string();
        assert!(error.contains("announces 30 bytes of data, but it has 29; the file was truncated"), "{error}");
        let error = array(&[u64::MAX / 2], b"").unwrap_err().to_string();
        assert!(error.ends_with("the file was truncated"), "{error}");
        // Bytes after the array are not part of it.
        assert_eq!(array(&[5, 3], &[0; 100]).unwrap().data().len(), 30);
    }
}
