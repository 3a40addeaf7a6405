//! Arrays in NumPy's `.npy` files, as inputs that are cut between rows.
//!
//! ```text
//! file    | header | row 0 | row 1 | row 2 | row 3 | ...
//! task      input 1        | input 0: rows 1..3     |         argument: path[1:3]
//! ```
//!
//! A task on rows gets the file's header as a second input, so that it knows their type and the shape of the array. The
//! header is a range of the same file: it costs the task no other file, and nothing is copied.

use std::io::{self, ErrorKind};
use std::iter::FusedIterator;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use wrun_npy::{Dtype, Header, MAX_LEN};

use super::{Input, Pieces, SplitAt, SplitSize};
use crate::error::Kind;
use crate::{Error, Result, Task};

/// An array in a `.npy` file: numbers of one type in C order. Cheap to clone.
///
/// ```
/// use wrun::{Input, Npy, SplitSize};
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
    /// As [`Input::open`] and [`Npy::new`].
    pub fn npy(path: impl AsRef<Path>) -> Result<Npy> {
        Npy::new(Input::open(path)?)
    }
}

impl Npy {
    /// Reads the header with which an input begins; bytes behind the array are allowed, as NumPy allows them.
    ///
    /// # Errors
    ///
    /// Where the input cannot be read, is no `.npy` file of version 1.0, 2.0 or 3.0, has no numbers in C order, or is shorter than
    /// its header says.
    pub fn new(file: Input) -> Result<Npy> {
        let header = read_header(&file)?;
        let needed = (header.len() as u64).checked_add(header.data_bytes());
        if needed.is_none_or(|needed| needed > file.len()) {
            return Err(Error::request(format!(
                "cannot use input {:?} as an array: its header says that there are {} bytes of data, and {} are there; it was cut off",
                file.label(),
                header.data_bytes(),
                file.len() - header.len() as u64
            )));
        }
        Ok(Npy { file, header: Arc::new(header) })
    }

    /// The elements' type.
    pub fn dtype(&self) -> Dtype {
        self.header.dtype()
    }

    /// The lengths of the axes; none for a single number.
    pub fn shape(&self) -> &[u64] {
        self.header.shape()
    }

    /// All data, without the header.
    pub fn data(&self) -> Input {
        let start = self.header.len() as u64;
        self.file.part(start, start + self.header.data_bytes())
    }

    /// Exactly these rows, which are parts of the array along axis 0.
    ///
    /// # Errors
    ///
    /// Where the array has no axes, or the range ends before it begins or after the last row.
    pub fn rows(&self, rows: Range<u64>) -> Result<Input> {
        let (count, row_bytes) = self.row()?;
        let Range { start, end } = rows;
        if start > end || end > count {
            return Err(Error::request(format!(
                "rows {start}:{end} do not lie in the array of input {:?}, which has {count} rows",
                self.file.label()
            )));
        }
        self.data().slice(start * row_bytes..end * row_bytes)
    }

    /// A task on these rows: they are input 0, the file's header is input 1, and `path[start:end]` is the argument.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub fn task(&self, rows: Range<u64>) -> Result<Task> {
        let header = self.file.part(0, self.header.len() as u64);
        let argument = format!("{}[{}:{}]", self.file.label(), rows.start, rows.end);
        Ok(Task::new(argument).input(self.rows(rows)?).input(header))
    }

    /// Tasks on all rows, in order; sizes are in bytes, and a row that is longer stays whole. An array without elements gives none.
    ///
    /// # Errors
    ///
    /// Where the size is 0, or the array has no axes.
    pub fn split(&self, size: SplitSize) -> Result<NpyPieces> {
        let (_, row_bytes) = self.row()?;
        // Where rows have no bytes there is nothing to be cut.
        let row_bytes = row_bytes.max(1);
        let pieces = self.data().split(size, SplitAt::Record(row_bytes))?;
        Ok(NpyPieces { array: self.clone(), row_bytes, pieces })
    }

    /// How many rows there are, and how many bytes each has.
    fn row(&self) -> Result<(u64, u64)> {
        match (self.header.rows(), self.header.row_bytes()) {
            (Some(rows), Some(bytes)) => Ok((rows, bytes)),
            // No rows of a length that is no number.
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
    read.map_err(|error| Kind::file("cannot read input", input.path().as_ref(), shorter(error)))?;
    Header::parse(&bytes)
        .map_err(|error| Error::request(format!("cannot use input {:?} as an array: {error}", input.label())))
}

fn shorter(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => io::Error::new(ErrorKind::UnexpectedEof, "the file became shorter meanwhile"),
        _ => error,
    }
}

/// Tasks on the rows of an array, in order; made by [`Npy::split`].
#[derive(Debug)]
pub struct NpyPieces {
    array: Npy,
    row_bytes: u64,
    pieces: Pieces,
}

impl Iterator for NpyPieces {
    type Item = Task;

    fn next(&mut self) -> Option<Task> {
        let piece = match self.pieces.next()? {
            Ok(piece) => piece,
            Err(error) => return Some(Err(error).into()),
        };
        let start = (piece.offset() - self.array.data().offset()) / self.row_bytes;
        let task = self.array.task(start..start + piece.len() / self.row_bytes);
        Some(task.unwrap_or_else(|error| Task::unrunnable(piece.label(), error.to_string())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pieces.size_hint()
    }
}

impl FusedIterator for NpyPieces {}

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
            assert!(error.ends_with(r#"do not lie in the array of input "a.npy", which has 5 rows"#), "{error}");
        }
        let task = array.task(1..4).unwrap();
        assert_eq!((&task.argument[..], task.inputs.len()), (&b"a.npy[1:4]"[..], 2));
        assert_eq!((task.inputs[1].offset(), task.inputs[1].len()), (0, 128));
    }

    #[test]
    fn pieces_are_whole_rows_and_all_of_them() {
        let array = array(&[10, 3], &[0; 60]).unwrap();
        for size in (1..70).map(SplitSize::Bytes).chain((1..20).map(SplitSize::Pieces)) {
            let pieces = array.split(size).unwrap();
            let expected = pieces.size_hint();
            let tasks: Vec<Task> = pieces.collect();
            assert_eq!(expected, (tasks.len(), Some(tasks.len())));
            let mut row = 0;
            for task in tasks {
                let count = task.inputs[0].len() / 6;
                assert_eq!(task.inputs[0].offset(), 128 + row * 6);
                assert_eq!(task.argument[..], *format!("a.npy[{row}:{}]", row + count).as_bytes());
                row += count;
            }
            assert_eq!(row, 10, "{size:?}");
        }
    }

    #[test]
    fn arrays_without_elements_have_no_pieces() {
        for shape in [&[0][..], &[0, 3], &[5, 0]] {
            let pieces = array(shape, b"").unwrap().split(SplitSize::Pieces(4)).unwrap();
            assert_eq!(pieces.count(), 0, "{shape:?}");
        }
        let number = array(&[], &[0; 2]).unwrap();
        let error = number.split(SplitSize::Bytes(1)).unwrap_err().to_string();
        assert!(error.contains("is a single number and has no rows"), "{error}");
    }

    #[test]
    fn a_file_that_is_too_short_is_refused() {
        let error = array(&[5, 3], &[0; 29]).unwrap_err().to_string();
        assert!(error.contains("says that there are 30 bytes of data, and 29 are there; it was cut off"), "{error}");
        let error = array(&[u64::MAX / 2], b"").unwrap_err().to_string();
        assert!(error.ends_with("it was cut off"), "{error}");
        // What stands behind the array is no part of it.
        assert_eq!(array(&[5, 3], &[0; 100]).unwrap().data().len(), 30);
    }
}
