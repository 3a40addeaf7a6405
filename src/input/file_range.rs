//! A file, or a range of one, that tasks read.

use std::fs::{File, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Pieces, SplitAt, SplitSize};
use crate::error::{Error, Repr};
use crate::{Result, sys};

/// A file, or a range of one, that tasks read. Cheap to clone; the file stays open as long as a clone exists.
///
/// ```
/// use wrun::{Input, SplitAt, SplitSize};
///
/// let input = Input::from_bytes("greeting", b"one\ntwo\nthree\n")?;
/// assert_eq!(input.slice(4..8)?.label(), "greeting@4+4");
///
/// let pieces = input.split(SplitSize::Bytes(5), SplitAt::Lines)?;
/// let lengths: Vec<u64> = pieces.map(|piece| piece.map(|piece| piece.len())).collect::<Result<_, _>>()?;
/// assert_eq!(lengths, [8, 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Input {
    file: Arc<OpenFile>,
    offset: u64,
    len: u64,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    /// The path as the user gave it, for messages.
    path: String,
    /// Bytes when it was opened.
    len: u64,
    /// Unique in this process.
    id: u64,
}

impl Input {
    /// Opens a regular file.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such file, if it may not be read, or if it cannot be mapped: if it is a directory, a pipe,
    /// a socket or a device.
    pub fn open(path: impl AsRef<Path>) -> Result<Input> {
        let path = path.as_ref();
        let open = || {
            // Checked before opening it, because opening a pipe would wait for a writer.
            must_be_regular(&std::fs::metadata(path)?)?;
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            must_be_regular(&metadata)?;
            Ok((file, metadata.len()))
        };
        let (file, len) = open().map_err(|error| Repr::file("cannot use input", path, error))?;
        Ok(Input::whole(file, path.display().to_string(), len))
    }

    /// Copies bytes once to sealed anonymous memory (a memfd). Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no memory for them.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Input> {
        let file = sys::memory_file::sealed(bytes)
            .map_err(|error| Error::system("cannot copy an input into memory", error))?;
        Ok(Input::whole(file, name.to_owned(), bytes.len() as u64))
    }

    /// The first `len` bytes of a sealed memory file.
    pub(crate) fn from_sealed(name: &str, file: File, len: u64) -> Input {
        Input::whole(file, name.to_owned(), len)
    }

    fn whole(file: File, path: String, len: u64) -> Input {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only the numbers have to differ.
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Input { file: Arc::new(OpenFile { file, path, len, id }), offset: 0, len }
    }

    /// Returns a part of this input. `range` is in bytes, relative to this input's start.
    ///
    /// # Errors
    ///
    /// Returns an error if the range ends before it begins, or after the input's end.
    pub fn slice(&self, range: Range<u64>) -> Result<Input> {
        let Range { start, end } = range;
        if start > end {
            return Err(Error::request(format!(
                "range {start}..{end} of input {:?} ends before it begins",
                self.path()
            )));
        }
        if end > self.len {
            return Err(Error::request(format!(
                "range {start}..{end} reaches past the end of input {:?}, which has {} bytes",
                self.label(),
                self.len
            )));
        }
        Ok(self.part(start, end))
    }

    /// The part from `start` to `end`, which lie inside this input.
    pub(super) fn part(&self, start: u64, end: u64) -> Input {
        Input { file: Arc::clone(&self.file), offset: self.offset + start, len: end - start }
    }

    /// The offset in its file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The file's path, as the user gave it.
    pub fn path(&self) -> &str {
        &self.file.path
    }

    /// `path`, or `path@offset+len` if it is a part of the file.
    pub fn label(&self) -> String {
        if self.offset == 0 && self.len == self.file.len {
            self.path().to_owned()
        } else {
            format!("{}@{}+{}", self.path(), self.offset, self.len)
        }
    }

    /// Cuts the input into pieces, lazily: each cut point is found when its piece is taken, by reading a few KiB around it.
    ///
    /// Pieces come in order, have at least one byte each, and together are exactly this input. An empty input has no pieces.
    ///
    /// # Errors
    ///
    /// Returns an error if the size or the record is 0, or if the input's length is not a multiple of the record.
    pub fn split(&self, size: SplitSize, at: SplitAt) -> Result<Pieces> {
        Pieces::new(self.clone(), size, at)
    }

    /// Whether dropping this closes the file.
    pub(crate) fn is_last_of_file(&self) -> bool {
        Arc::strong_count(&self.file) == 1
    }

    /// The open file and its number in this process, to be passed to a worker.
    pub(crate) fn file(&self) -> (&File, u64) {
        (&self.file.file, self.file.id)
    }
}

/// Refuses anything but a regular file. The error says what it is and what to give instead.
pub(crate) fn must_be_regular(metadata: &Metadata) -> io::Result<()> {
    let kind: FileType = metadata.file_type();
    let (error, what) = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        (ErrorKind::IsADirectory, "it is a directory; name the files in it")
    } else if kind.is_fifo() {
        (ErrorKind::InvalidInput, "it is a pipe, which cannot be mapped; save its contents to a file first")
    } else if kind.is_socket() {
        (ErrorKind::InvalidInput, "it is a socket, which cannot be mapped; save its contents to a file first")
    } else {
        (ErrorKind::InvalidInput, "it is a device, which cannot be mapped; save its contents to a file first")
    };
    Err(io::Error::new(error, what))
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn refusal(path: &Path) -> String {
        let error = Input::open(path).unwrap_err();
        format!("{error}: {}", error.source().unwrap())
    }

    #[test]
    fn opens_a_file_and_names_its_ranges() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        std::fs::write(&path, b"0123456789").unwrap();
        let input = Input::open(&path).unwrap();
        let name = path.to_str().unwrap();
        assert_eq!((input.len(), input.offset(), input.label().as_str()), (10, 0, name));

        let part = input.slice(2..9).unwrap().slice(1..4).unwrap();
        assert_eq!((part.offset(), part.len(), part.label()), (3, 3, format!("{name}@3+3")));
        assert_eq!(part.file().1, input.file().1);
        assert!(input.slice(10..10).unwrap().is_empty());
    }

    #[test]
    fn refuses_ranges_outside_of_the_input() {
        let part = Input::from_bytes("memory", b"0123456789").unwrap().slice(2..6).unwrap();
        for range in [0..5, 5..5, 4..u64::MAX, u64::MAX..u64::MAX] {
            let error = part.slice(range.clone()).unwrap_err();
            assert!(error.kind() == crate::ErrorKind::Request, "{range:?}: {error}");
        }
        #[expect(clippy::reversed_empty_ranges, reason = "this is what is refused")]
        let reversed = part.slice(3..2).unwrap_err();
        assert_eq!(reversed.to_string(), r#"range 3..2 of input "memory" ends before it begins"#);
    }

    #[test]
    fn says_what_is_wrong_with_files_that_cannot_be_inputs() {
        let directory = tempfile::tempdir().unwrap();
        assert!(refusal(directory.path()).ends_with(": it is a directory; name the files in it"));
        assert!(refusal(&directory.path().join("absent")).ends_with(r#"/absent": no such file; check the path"#));
        assert!(refusal(Path::new("/dev/null")).contains("it is a device"));
    }
}
