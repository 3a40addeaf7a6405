//! Where an input is cut into pieces.
//!
//! Cut points are searched near targets that depend only on the input's length and the wanted size, so that a line
//! that is much longer than a piece does not move all later cuts. Only the bytes between a target and its cut are read, once; holes of
//! sparse files are skipped:
//!
//! ```text
//! target           0         16M        32M        48M        end
//! cut at bytes     |──────────|──────────|──────────|──────────|
//! cut at lines     |────────────|─────────|──────────|─────────|     the first line end at or after the target
//! ```

use std::io::{self, ErrorKind};
use std::iter::FusedIterator;
use std::os::unix::fs::FileExt;

use super::Input;
use crate::sys::sparse;
use crate::{Error, Result};

/// The size of pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitSize {
    /// Pieces of about this many bytes.
    Bytes(u64),
    /// This many pieces of about the same size; fewer if there are fewer places to cut at.
    Pieces(u64),
}

/// Where an input may be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SplitAt {
    /// After a line end (`\n`). A line that is longer than a piece stays whole.
    Lines,
    /// Anywhere.
    Bytes,
    /// At multiples of this many bytes.
    Record(u64),
}

/// Bytes to read at a time when searching for a line end. Most lines are far shorter, so one read finds it.
const SEARCH_BYTES: usize = 16 << 10;

/// The pieces of an input, in order. Cut points are found as they are needed.
///
/// The upper bound of `size_hint` is exact for bytes and records. With lines there can be fewer pieces, if lines are long. After an
/// error (the file cannot be read, or was truncated) there are no more pieces.
#[derive(Debug)]
#[must_use = "pieces are lazy: iterate over them"]
pub struct Pieces {
    input: Input,
    targets: Targets,
    lines: bool,
    /// The start of the next piece, in bytes from the input's start.
    position: u64,
}

impl Pieces {
    pub(super) fn new(input: Input, size: SplitSize, at: SplitAt) -> Result<Pieces> {
        if matches!(size, SplitSize::Bytes(0) | SplitSize::Pieces(0)) {
            return Err(Error::request("a size or a number of pieces of 0 makes no pieces; give at least 1"));
        }
        let unit = match at {
            SplitAt::Lines | SplitAt::Bytes => 1,
            SplitAt::Record(0) => return Err(Error::request("a record needs at least 1 byte")),
            SplitAt::Record(bytes) => bytes,
        };
        if !input.len().is_multiple_of(unit) {
            return Err(Error::request(format!(
                "input {:?} has {} bytes, which is not a multiple of the record size {unit}; check the record size",
                input.label(),
                input.len()
            )));
        }
        let targets = Targets::new(input.len() / unit, unit, size);
        Ok(Pieces { input, targets, lines: at == SplitAt::Lines, position: 0 })
    }

    /// The end of the piece that begins at the current position.
    fn cut(&self) -> io::Result<u64> {
        let target = self.targets.after(self.position);
        if self.lines && target < self.input.len() { self.line_end(target) } else { Ok(target) }
    }

    /// The first position at or after `target` that follows a line end; `target` is at least 1.
    fn line_end(&self, target: u64) -> io::Result<u64> {
        let mut buffer = [0; SEARCH_BYTES];
        // Starts one byte earlier, because a line end there is a cut at the target.
        let mut position = target - 1;
        while position < self.input.len() {
            let wanted = usize::try_from(self.input.len() - position).unwrap_or(usize::MAX).min(SEARCH_BYTES);
            let read = match self.input.file().0.read_at(&mut buffer[..wanted], self.input.offset() + position) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file was truncated meanwhile")),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if let Some(found) = memchr::memchr(b'\n', &buffer[..read]) {
                return Ok(position + found as u64 + 1);
            }
            position += read as u64;
            if position < self.input.len() && buffer[..read].iter().all(|byte| *byte == 0) {
                position = self.after_hole(position);
            }
        }
        Ok(self.input.len())
    }
}

impl Pieces {
    /// The earliest position of the next line end, according to the file system's holes, which read as zeros.
    fn after_hole(&self, position: u64) -> u64 {
        let data = sparse::next_data(self.input.file().0, self.input.offset() + position);
        // Always read the last byte: it shows whether the file still has its length.
        let last = self.input.len() - 1;
        data.map_or(last, |data| (data - self.input.offset()).min(last)).max(position)
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.input.len() {
            return None;
        }
        let start = self.position;
        match self.cut() {
            Ok(end) => {
                self.position = end;
                Some(Ok(self.input.part(start, end)))
            }
            Err(error) => {
                self.position = self.input.len();
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = usize::try_from(self.targets.count_after(self.position)).unwrap_or(usize::MAX);
        (if self.lines { most.min(1) } else { most }, Some(most))
    }
}

impl FusedIterator for Pieces {}

/// Ascending byte positions near which an input is cut; the last is its end.
#[derive(Debug)]
struct Targets {
    /// The input's length in units.
    units: u64,
    /// Bytes per unit: the record, or 1.
    unit: u64,
    spacing: Spacing,
}

#[derive(Debug)]
enum Spacing {
    /// One target every this many units.
    Every(u64),
    /// This many targets, as evenly as whole units allow; at most as many as there are units.
    Count(u64),
}

impl Targets {
    fn new(units: u64, unit: u64, size: SplitSize) -> Targets {
        let spacing = match size {
            SplitSize::Bytes(bytes) => Spacing::Every((bytes / unit).max(1)),
            SplitSize::Pieces(count) => Spacing::Count(count.min(units).max(1)),
        };
        Targets { units, unit, spacing }
    }

    /// The first target after `position`; both in bytes.
    fn after(&self, position: u64) -> u64 {
        let target = match self.spacing {
            Spacing::Every(step) => (position / self.unit / step + 1).saturating_mul(step),
            Spacing::Count(count) => {
                let number = self.passed(count, position) + 1;
                narrow(u128::from(number) * u128::from(self.units) / u128::from(count))
            }
        };
        target.min(self.units) * self.unit
    }

    /// The number of targets after `position` in bytes.
    fn count_after(&self, position: u64) -> u64 {
        match self.spacing {
            _ if position / self.unit >= self.units => 0,
            Spacing::Every(step) => self.units.div_ceil(step) - position / self.unit / step,
            Spacing::Count(count) => count - self.passed(count, position),
        }
    }

    /// How many of `count` targets, the k-th of which is at floor(k * units / count), lie at or before `position`.
    fn passed(&self, count: u64, position: u64) -> u64 {
        // floor(k * units / count) <= p  ⇔  k * units < (p + 1) * count; the products need more than 64 bits.
        let limit = (u128::from(position / self.unit) + 1) * u128::from(count);
        narrow(limit.div_ceil(u128::from(self.units)) - 1)
    }
}

/// Back to 64 bits after a product and a quotient.
fn narrow(value: u128) -> u64 {
    u64::try_from(value).expect("a fraction of the input's length is not longer than the input")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bytes: &[u8]) -> Input {
        Input::from_bytes("data", bytes).unwrap()
    }

    /// Cuts and checks what must hold for all pieces; gives their lengths.
    fn split(input: &Input, size: SplitSize, at: SplitAt) -> Vec<u64> {
        let mut pieces = input.split(size, at).unwrap();
        let mut lengths = Vec::new();
        let mut position = input.offset();
        loop {
            let (least, most) = pieces.size_hint();
            let Some(piece) = pieces.next() else {
                assert_eq!((least, most), (0, Some(0)));
                break;
            };
            let piece = piece.unwrap();
            assert!(!piece.is_empty(), "an empty piece at {position}");
            assert_eq!(piece.offset(), position, "a gap or an overlap");
            position += piece.len();
            lengths.push(piece.len());
            let (_, later) = pieces.size_hint();
            assert!(least >= 1 && later.unwrap() < most.unwrap(), "the estimate did not shrink");
        }
        assert_eq!(position, input.offset() + input.len(), "the pieces do not cover the input");
        assert!(pieces.next().is_none());
        lengths
    }

    /// The sizes worth trying on an input of `len` bytes.
    fn sizes(len: u64) -> impl Iterator<Item = SplitSize> {
        let numbers = || (1..=len + 2).chain([1 << 40, u64::MAX - 1, u64::MAX]);
        numbers().map(SplitSize::Bytes).chain(numbers().map(SplitSize::Pieces))
    }

    #[test]
    fn pieces_cover_every_small_input_at_line_ends() {
        // All texts of up to 9 bytes that consist of a letter and of line ends.
        for len in 0..=9 {
            for pattern in 0..1u32 << len {
                let text: Vec<u8> = (0..len).map(|bit| if pattern >> bit & 1 == 1 { b'\n' } else { b'x' }).collect();
                let whole = input(&text);
                for size in sizes(len) {
                    let mut end = 0;
                    for length in split(&whole, size, SplitAt::Lines) {
                        end += length as usize;
                        assert!(end == text.len() || text[end - 1] == b'\n', "{text:?} {size:?}: a cut in a line");
                    }
                }
            }
        }
    }

    #[test]
    fn byte_and_record_pieces_have_the_counted_sizes() {
        for records in 0..=12u64 {
            for record in 1..=4 {
                let len = records * record;
                // A part of a file, so that record borders do not fall on multiples in the file.
                let part = input(&vec![0; len as usize + 3]).slice(3..3 + len).unwrap();
                for size in sizes(len) {
                    let lengths = split(&part, size, SplitAt::Record(record));
                    assert!(lengths.iter().all(|length| length % record == 0));
                    let (least, most) = part.split(size, SplitAt::Record(record)).unwrap().size_hint();
                    assert_eq!((lengths.len(), Some(lengths.len())), (least, most), "{len} {record} {size:?}");
                    match size {
                        SplitSize::Bytes(bytes) => {
                            let full = (bytes / record * record).max(record);
                            assert!(lengths.iter().rev().skip(1).all(|length| *length == full));
                        }
                        SplitSize::Pieces(pieces) => {
                            assert_eq!(lengths.len() as u64, pieces.min(records));
                            let difference = lengths.iter().max().unwrap_or(&0) - lengths.iter().min().unwrap_or(&0);
                            assert!(difference <= record, "{lengths:?} are not even");
                        }
                    }
                    if record == 1 {
                        assert_eq!(split(&part, size, SplitAt::Bytes), lengths);
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_longer_than_a_piece_stays_whole_and_does_not_move_later_cuts() {
        let mut text = vec![b'x'; 3 * SEARCH_BYTES + 7];
        text.push(b'\n');
        text.extend(b"1234567\n".repeat(SEARCH_BYTES));
        let size = 1024;
        let lengths = split(&input(&text), SplitSize::Bytes(size), SplitAt::Lines);
        let first = 3 * SEARCH_BYTES as u64 + 8;
        assert_eq!(lengths[0], first);
        assert_eq!((first + lengths[1]) % size, 0);
        let (last, rest) = lengths[2..].split_last().unwrap();
        assert!(*last <= size && rest.iter().all(|length| *length == size), "{lengths:?}");
    }

    #[test]
    fn a_hundred_gigabytes_split_without_being_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(100 << 30).unwrap();
        let input = Input::open(file.path()).unwrap();
        assert_eq!(input.split(SplitSize::Bytes(16 << 20), SplitAt::Bytes).unwrap().size_hint(), (6400, Some(6400)));
        assert_eq!(split(&input, SplitSize::Bytes(1 << 30), SplitAt::Record(4096)).len(), 100);
        assert_eq!(split(&input, SplitSize::Pieces(7), SplitAt::Bytes).len(), 7);
    }

    /// Bytes that this thread has read so far (proc(5), `/proc/pid/io`), by whatever call.
    fn bytes_read() -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/io").unwrap();
        text.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    /// Cuts a file at lines into pieces of 64 MiB. Gives their ends, and how many bytes were read for that.
    fn split_at_lines(file: &tempfile::NamedTempFile) -> (Vec<u64>, u64) {
        let input = Input::open(file.path()).unwrap();
        let before = bytes_read();
        let lengths = split(&input, SplitSize::Bytes(64 << 20), SplitAt::Lines);
        let read = bytes_read() - before;
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        (ends.collect(), read)
    }

    #[test]
    fn only_the_surroundings_of_cuts_are_read() {
        const LEN: u64 = 10 << 30;
        const STEP: u64 = 64 << 20;
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LEN).unwrap();
        let (ends, read) = split_at_lines(&file);
        // Without a line end there is one piece.
        assert_eq!(ends, [LEN]);
        assert!(read < 100_000, "{read} bytes of a hole");

        // Line ends a little behind each target, and far behind some.
        let far = |number: u64| if number.is_multiple_of(10) { 40 << 20 } else { 100 };
        let cuts: Vec<u64> = (1..LEN / STEP).map(|number| number * STEP + far(number)).collect();
        cuts.iter().for_each(|cut| file.as_file().write_all_at(b"a line's end\n", cut - 13).unwrap());
        let (mut ends, read) = split_at_lines(&file);
        assert_eq!(ends.pop(), Some(LEN));
        assert_eq!(ends, cuts);
        assert!(read < 160 * 3 * SEARCH_BYTES as u64, "{read} bytes for 160 pieces");
    }

    #[test]
    fn bytes_without_a_line_end_are_read_once() {
        const LEN: usize = 3 << 20;
        let data = input(&[b'x'; LEN]);
        let before = bytes_read();
        assert_eq!(split(&data, SplitSize::Bytes(1000), SplitAt::Lines), [LEN as u64]);
        let read = bytes_read() - before;
        assert!((LEN as u64 - 1000..LEN as u64 + 100_000).contains(&read), "{read}");
    }

    #[test]
    fn a_truncated_file_is_an_error_and_ends_the_pieces() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1000).unwrap();
        let input = Input::open(file.path()).unwrap();
        let mut pieces = input.split(SplitSize::Bytes(600), SplitAt::Lines).unwrap();
        file.as_file().set_len(10).unwrap();
        assert_eq!(pieces.next().unwrap().unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert!(pieces.next().is_none());

        // Behind what is still there is a hole, which is passed over.
        file.as_file().set_len(1 << 20).unwrap();
        let input = Input::open(file.path()).unwrap();
        let mut pieces = input.split(SplitSize::Bytes(600), SplitAt::Lines).unwrap();
        file.as_file().set_len(100_000).unwrap();
        assert_eq!(pieces.next().unwrap().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn impossible_sizes_and_records_are_refused() {
        let ten = input(&[0; 10]);
        for (size, at) in [
            (SplitSize::Bytes(0), SplitAt::Bytes),
            (SplitSize::Pieces(0), SplitAt::Lines),
            (SplitSize::Bytes(1), SplitAt::Record(0)),
        ] {
            assert!(ten.split(size, at).unwrap_err().kind() == crate::ErrorKind::Request);
        }
        assert_eq!(
            ten.split(SplitSize::Bytes(1), SplitAt::Record(8)).unwrap_err().to_string(),
            r#"input "data" has 10 bytes, which is not a multiple of the record size 8; check the record size"#
        );
    }
}
