//! A file, or a range of one, that tasks read.

use std::ffi::OsString;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Pieces, SplitAt, SplitSize};
use crate::Result;
use crate::error::{Error, Repr};
use crate::sys::{memory_file, open_path, window};

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
    /// The path as the user gave it.
    path: PathBuf,
    /// Bytes when it was opened.
    len: u64,
    /// Unique in this process.
    id: u64,
    /// Device and inode; those of the file that was copied, if this is a copy. Memory has none.
    inode: Option<(u64, u64)>,
    /// Whether the file could not be mapped and was copied to memory.
    is_copy: bool,
}

/// The most bytes of a file that cannot be mapped: they are copied to memory.
const MAX_COPIED_BYTES: u64 = 64 << 20;

impl Input {
    /// Opens a regular file.
    ///
    /// A file that cannot be mapped, or that has bytes although its size is 0, as files in /proc and /sys do, is copied to memory once, if
    /// it has at most 64 MiB ([`Input::is_copied`]).
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such file, if it may not be read, or if it can be neither mapped nor copied: if it is a directory,
    /// a pipe, a socket or a device, for example.
    pub fn open(path: impl AsRef<Path>) -> Result<Input> {
        let path = path.as_ref();
        let (file, len, metadata, is_copy) =
            open_or_copy(path).map_err(|error| Repr::file("cannot use input", path, error))?;
        let inode = Some((metadata.dev(), metadata.ino()));
        Ok(Input::whole(OpenFile { file, path: path.to_owned(), len, id: next_id(), inode, is_copy }))
    }

    /// Copies bytes once to sealed anonymous memory (a memfd). Messages call it `name`.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no memory for them.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Input> {
        let file =
            memory_file::sealed(bytes).map_err(|error| Error::system("cannot copy an input into memory", error))?;
        Ok(Input::from_sealed(name, file, bytes.len() as u64))
    }

    /// The first `len` bytes of a sealed memory file.
    pub(crate) fn from_sealed(name: &str, file: File, len: u64) -> Input {
        Input::whole(OpenFile { file, path: name.into(), len, id: next_id(), inode: None, is_copy: false })
    }

    fn whole(file: OpenFile) -> Input {
        let len = file.len;
        Input { file: Arc::new(file), offset: 0, len }
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
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// `path`, or `path@offset+len` if it is a part of the file, with exactly the bytes of the path.
    pub fn label(&self) -> OsString {
        let mut label = self.path().as_os_str().to_owned();
        if self.offset != 0 || self.len != self.file.len {
            label.push(format!("@{}+{}", self.offset, self.len));
        }
        label
    }

    /// Whether the file cannot be mapped, and was copied to memory when it was opened.
    pub fn is_copied(&self) -> bool {
        self.file.is_copy
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

    /// Device and inode of the file; `None` if it has only been in memory.
    pub(crate) fn inode(&self) -> Option<(u64, u64)> {
        self.file.inode
    }

    /// The open file and its number in this process, to be passed to a worker.
    pub(crate) fn file(&self) -> (&File, u64) {
        (&self.file.file, self.file.id)
    }
}

fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    // Relaxed: only the numbers have to differ.
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

/// Opens a regular file that can be mapped, or a copy of it; gives also its length, the original's metadata, and whether it is a copy.
fn open_or_copy(path: &Path) -> io::Result<(File, u64, Metadata, bool)> {
    // Before it is opened, because opening a device can have consequences.
    must_be_regular(&std::fs::metadata(path)?)?;
    let file = open_path::open(path, OpenOptions::new().read(true))?;
    // Something else may have taken its place.
    let metadata = file.metadata()?;
    must_be_regular(&metadata)?;
    let len = metadata.len();
    let is_as_it_says = if len == 0 { has_no_bytes(&file)? } else { window::can_map(&file) };
    if is_as_it_says {
        return Ok((file, len, metadata, false));
    }
    let (copy, len) = copy(&file)?;
    Ok((copy, len, metadata, true))
}

/// Whether a file whose size is 0 is empty indeed.
fn has_no_bytes(file: &File) -> io::Result<bool> {
    loop {
        match file.read_at(&mut [0], 0) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map(|read| read == 0).map_err(cannot_be_copied),
        }
    }
}

/// Copies a file that cannot be mapped to memory.
fn copy(file: &File) -> io::Result<(File, u64)> {
    let mut bytes = Vec::new();
    // One byte more shows that there are too many.
    file.take(MAX_COPIED_BYTES + 1).read_to_end(&mut bytes).map_err(cannot_be_copied)?;
    if bytes.len() as u64 > MAX_COPIED_BYTES {
        let most = MAX_COPIED_BYTES >> 20;
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!(
                "it cannot be mapped, and has more than the {most} MiB that would be copied; save its contents to a file first"
            ),
        ));
    }
    Ok((memory_file::sealed(&bytes)?, bytes.len() as u64))
}

fn cannot_be_copied(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("it cannot be mapped, and reading it failed: {error}"))
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
        assert_eq!((input.len(), input.offset(), input.label()), (10, 0, name.into()));

        let part = input.slice(2..9).unwrap().slice(1..4).unwrap();
        assert_eq!((part.offset(), part.len(), part.label()), (3, 3, format!("{name}@3+3").into()));
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

    /// The bytes of an input.
    fn bytes(input: &Input) -> Vec<u8> {
        let mut bytes = vec![0; input.len() as usize];
        input.file().0.read_exact_at(&mut bytes, input.offset()).unwrap();
        bytes
    }

    #[test]
    fn files_whose_size_says_nothing_are_copied() {
        // The kernel makes these up: the size is 0, or a page.
        for path in ["/proc/version", "/proc/self/limits", "/sys/kernel/mm/transparent_hugepage/enabled"] {
            let Ok(wanted) = std::fs::read(path) else { continue };
            let input = Input::open(path).unwrap();
            assert!(input.is_copied() && !wanted.is_empty(), "{path}");
            assert_eq!(bytes(&input), wanted, "{path}");
            assert_eq!((input.label(), input.path()), (path.into(), Path::new(path)));
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        let input = Input::open(empty.path()).unwrap();
        assert!(input.is_empty() && !input.is_copied());
        let said = refusal(Path::new("/proc/self/mem"));
        assert!(said.contains(r#""/proc/self/mem": it cannot be mapped"#), "{said}");
        let large = if Path::new("/proc/kcore").exists() { refusal(Path::new("/proc/kcore")) } else { String::new() };
        assert!(large.is_empty() || large.starts_with(r#"cannot use input "/proc/kcore": "#), "{large}");
    }

    #[test]
    fn a_pipe_that_takes_a_files_place_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let (file, pipe, name) = ["file", "pipe", "name"].map(|name| directory.path().join(name)).into();
        std::fs::write(&file, "x").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(refusal(&pipe).contains("it is a pipe"));
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut link = directory.path().join("link");
                link.set_extension("new");
                for target in [&file, &pipe].into_iter().cycle() {
                    std::os::unix::fs::symlink(target, &link).unwrap();
                    std::fs::rename(&link, &name).unwrap();
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            while !name.exists() {
                std::hint::spin_loop();
            }
            // On a busy machine, the other thread may not run for a long time.
            let (begun, mut seen) = (std::time::Instant::now(), [0, 0]);
            while seen[0] + seen[1] < 20_000 || seen.contains(&0) && begun.elapsed().as_secs() < 60 {
                seen[usize::from(Input::open(&name).is_ok())] += 1;
            }
            stop.store(true, Ordering::Relaxed);
            assert!(!seen.contains(&0), "{seen:?}");
        });
    }

    #[test]
    fn names_keep_all_their_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &[u8]| {
            let path = directory.path().join(std::ffi::OsStr::from_bytes(name));
            std::fs::write(&path, "0123").unwrap();
            Input::open(&path).unwrap()
        };
        let (one, other) = (open(b"caf\xe9"), open(b"caf\xe8"));
        assert_ne!(one.label(), other.label());
        assert!(one.label().as_bytes().ends_with(b"/caf\xe9"));
        assert!(one.slice(1..3).unwrap().label().as_bytes().ends_with(b"/caf\xe9@1+2"));
        let error = one.slice(1..9).unwrap_err().to_string();
        assert!(error.contains("caf\\xE9\""), "{error}");
    }
}
