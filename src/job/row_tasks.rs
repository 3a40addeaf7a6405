//! Tasks on the rows of an array in a `.npy` file.

use std::iter::FusedIterator;
use std::ops::Range;

use super::Task;
use crate::Result;
use crate::input::{Npy, Pieces, SplitAt, SplitSize};

impl Npy {
    /// Returns a task on these rows: they are input 0, the file's header is input 1, and `path[start:end]` is the argument.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`rows`](Self::rows).
    pub fn task(&self, rows: Range<u64>) -> Result<Task> {
        let argument = self.row_label(&rows);
        Ok(Task::new(argument.into_encoded_bytes()).input(self.rows(rows)?).input(self.header()))
    }

    /// Returns tasks on all rows, in order. Sizes are in bytes; a longer row stays whole. An array without elements has no tasks.
    ///
    /// # Errors
    ///
    /// Returns an error if the size is 0, or if the array has no axes.
    pub fn split(&self, size: SplitSize) -> Result<NpyPieces> {
        let (_, row_bytes) = self.row()?;
        // If rows have no bytes, there is nothing to cut.
        let row_bytes = row_bytes.max(1);
        let pieces = self.data().split(size, SplitAt::Record(row_bytes))?;
        Ok(NpyPieces { array: self.clone(), row_bytes, pieces })
    }
}

/// Tasks on the rows of an array, in order; created by [`Npy::split`].
#[derive(Debug)]
#[must_use = "pieces are lazy: iterate over them"]
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
        Some(task.unwrap_or_else(|error| Task::unrunnable(piece.label().into_encoded_bytes(), error.to_string())))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pieces.size_hint()
    }
}

impl FusedIterator for NpyPieces {}

#[cfg(test)]
mod tests {
    use wrun_npy::{Dtype, Header};

    use super::*;
    use crate::Input;

    fn array(shape: &[u64], data: &[u8]) -> Result<Npy> {
        let header = Header::encode(Dtype::parse("<i2").unwrap(), shape);
        Npy::new(Input::from_bytes("a.npy", &[&header[..], data].concat()).unwrap())
    }

    #[test]
    fn a_task_gets_its_rows_and_the_header() {
        let task = array(&[5, 3], &[0; 30]).unwrap().task(1..4).unwrap();
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
}
