//! Parsers of option values: sizes, durations, loads, ranges of files. Their errors show a valid value.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use wrun::job::TaskTime;
use wrun::{Input, SplitAt, Task};

/// Parses a number of bytes: `4096`, `64K`, `1.5M`, `2GiB`; all units are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let bytes = parse_size::Config::new().with_binary().parse_size(text);
    bytes.map_err(|_| "not a size; give a number of bytes, with K, M or G for powers of 1024, such as 16M".to_owned())
}

/// As [`size`], but refuses 0.
pub fn size_above_0(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("must be at least 1 byte".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Parses the value of a variable that switches an option on or off.
pub fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("neither true nor false; give true or false, yes or no, on or off, 1 or 0, or nothing".to_owned()),
    }
}

/// Parses a count: `1000`, `5K`, `2M`, `1G`; here the units are powers of 1000.
pub fn count(text: &str) -> Result<u64, String> {
    let wrong = || "not a whole number; give one with K, M or G for powers of 1000, such as 5M".to_owned();
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1000),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1_000_000),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1_000_000_000),
        _ => (text, 1u64),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// Parses a duration above 0: `500ms`, `2s`, `1m 30s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than 0".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("not a duration; give a number and a unit, such as 500ms, 2s or 1m".to_owned()),
    }
}

/// Parses a load: a number of threads, or a percentage of the CPUs that this process may use.
pub fn load(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        None => (text, 1.0),
        Some(percent) => (percent, std::thread::available_parallelism().map_or(1.0, |cpus| cpus.get() as f64) / 100.0),
    };
    let load = number.parse::<f64>().ok().filter(|load| load.is_finite() && *load >= 0.0);
    load.map(|load| load * unit)
        .ok_or_else(|| "give a number of threads (4), or a percentage of the CPUs (150%)".to_owned())
}

/// Parses a task's time: a duration, or a percentage of the median of other tasks' times.
pub fn task_time(text: &str) -> Result<TaskTime, String> {
    let Some(percent) = text.strip_suffix('%') else {
        return duration(text)
            .map(TaskTime::After)
            .map_err(|error| format!("{error}, or a percentage of the median, such as 300%"));
    };
    match percent.parse() {
        Ok(percent) if percent > 0 => Ok(TaskTime::OfMedian { percent }),
        _ => Err("not a percentage of the median; give a whole number above 0, such as 300%".to_owned()),
    }
}

/// Where files may be cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutAt {
    /// At bytes, in any file.
    Bytes(SplitAt),
    /// Between rows of the array in a `.npy` file.
    Rows,
}

/// Parses `lines`, `bytes`, `record:N` or `rows`.
pub fn split_at(text: &str) -> Result<CutAt, String> {
    match (text, text.strip_prefix("record:")) {
        ("lines", _) => Ok(CutAt::Bytes(SplitAt::Lines)),
        ("bytes", _) => Ok(CutAt::Bytes(SplitAt::Bytes)),
        ("rows", _) => Ok(CutAt::Rows),
        (_, Some(bytes)) => size_above_0(bytes).map(SplitAt::Record).map(CutAt::Bytes),
        _ => Err("give lines, bytes, rows or record:N, with N as the number of bytes of a record".to_owned()),
    }
}

/// An input of all tasks: `NAME=PATH` or `NAME=PATH@OFFSET+LEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedInput {
    /// The name under which tasks find it.
    pub name: String,
    file: FilePart,
}

impl NamedInput {
    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// Opens the file and takes the range, if any.
    pub fn open(&self) -> wrun::Result<Input> {
        self.file.open()
    }
}

/// A file, or a range of one: `PATH` or `PATH@OFFSET+LEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePart {
    path: PathBuf,
    /// Offset and length in bytes.
    range: Option<(u64, u64)>,
}

impl FilePart {
    /// Opens the file and takes the range, if any.
    pub fn open(&self) -> wrun::Result<Input> {
        let whole = Input::open(&self.path)?;
        match self.range {
            // A sum that overflows is beyond the end of the file, too.
            Some((offset, len)) => whole.slice(offset..offset.saturating_add(len)),
            None => Ok(whole),
        }
    }
}

/// A file or a part of one as the item of a task: `PATH`, `PATH@OFFSET+LEN`, or `PATH[START:END]` for rows of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemFile {
    /// A file or a range of bytes.
    Part(FilePart),
    /// Rows of a `.npy` file.
    Rows(PathBuf, Range<u64>),
}

impl ItemFile {
    /// The path of the file.
    pub fn path(&self) -> &Path {
        match self {
            ItemFile::Part(part) => &part.path,
            ItemFile::Rows(path, _) => path,
        }
    }

    /// The task that a map makes of this item.
    pub fn task(&self) -> wrun::Result<Task> {
        match self {
            ItemFile::Part(part) => part.open().map(Task::from),
            ItemFile::Rows(path, rows) => Input::npy(path)?.task(rows.clone()),
        }
    }
}

/// Parses `PATH[@OFFSET+LEN]` or `PATH[START:END]`.
pub fn item_file(text: OsString) -> ItemFile {
    let bytes = text.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'[').map(|at| (&bytes[..at], rows(&bytes[at..]))) {
        Some((path, Some(rows))) if !path.is_empty() => ItemFile::Rows(PathBuf::from(OsStr::from_bytes(path)), rows),
        _ => ItemFile::Part(file(text)),
    }
}

/// Parses `[START:END]`.
fn rows(text: &[u8]) -> Option<Range<u64>> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix('[')?.strip_suffix(']')?;
    let (start, end) = text.split_once(':')?;
    Some(start.parse().ok()?..end.parse().ok()?)
}

/// Parses `NAME=PATH[@OFFSET+LEN]`.
pub fn named_input(text: OsString) -> Result<NamedInput, String> {
    let text = text.into_vec();
    let equals = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0 && *at + 1 < text.len());
    let equals = equals.ok_or("give NAME=PATH or NAME=PATH@OFFSET+LEN, such as words=/usr/share/dict/words")?;
    let name = std::str::from_utf8(&text[..equals]).map_err(|_| "the name is not UTF-8")?.to_owned();
    Ok(NamedInput { name, file: file(OsString::from_vec(text[equals + 1..].to_vec())) })
}

/// Parses `PATH[@OFFSET+LEN]`. What is not a valid range is part of the path.
pub fn file(text: OsString) -> FilePart {
    let path = text.as_bytes();
    let (path, range) = match path.iter().rposition(|byte| *byte == b'@').map(|at| (&path[..at], &path[at + 1..])) {
        Some((before, after)) if !before.is_empty() => match range(after) {
            Some(range) => (before, Some(range)),
            None => (path, None),
        },
        _ => (path, None),
    };
    FilePart { path: PathBuf::from(OsStr::from_bytes(path)), range }
}

/// Parses `OFFSET+LEN`.
fn range(text: &[u8]) -> Option<(u64, u64)> {
    let (offset, len) = std::str::from_utf8(text).ok()?.split_once('+')?;
    Some((size(offset).ok()?, size(len).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64K", 64 << 10),
            ("64k", 64 << 10),
            ("64KB", 64 << 10),
            ("64KiB", 64 << 10),
            ("1.5M", 3 << 19),
            ("256M", 256 << 20),
            ("2G", 2 << 30),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "16X", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size_above_0("0K"), Err("must be at least 1 byte".to_owned()));
    }

    #[test]
    fn switches_are_on_or_off() {
        assert!(["1", "true", "YES", "on"].iter().all(|text| switch(text) == Ok(true)));
        assert!(["", "0", "False", "no", "off"].iter().all(|text| switch(text) == Ok(false)));
        assert!(["maybe", "nein", "2"].iter().all(|text| switch(text).is_err()));
    }

    #[test]
    fn counts_are_powers_of_1000() {
        assert_eq!(
            [count("0"), count("7"), count("5K"), count("2m"), count("1G")].map(Result::unwrap),
            [0, 7, 5000, 2_000_000, 1_000_000_000]
        );
        assert!(["", "K", "-1", "1.5M", "x", "99999999999G"].iter().all(|text| count(text).is_err()));
    }

    #[test]
    fn durations_have_a_unit_and_are_not_zero() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        for text in ["", "2", "0s", "-1s", "s", "2 parsecs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn loads_are_threads_or_percent_of_the_cpus() {
        let cpus = std::thread::available_parallelism().unwrap().get() as f64;
        assert_eq!(load("3.5"), Ok(3.5));
        assert_eq!(load("0"), Ok(0.0));
        assert_eq!(load("50%"), Ok(cpus / 2.0));
        for text in ["", "%", "-1", "x", "inf", "nan%"] {
            assert!(load(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cut_places_are_lines_bytes_records_or_rows() {
        assert_eq!(split_at("lines"), Ok(CutAt::Bytes(SplitAt::Lines)));
        assert_eq!(split_at("bytes"), Ok(CutAt::Bytes(SplitAt::Bytes)));
        assert_eq!(split_at("record:24"), Ok(CutAt::Bytes(SplitAt::Record(24))));
        assert_eq!(split_at("record:1K"), Ok(CutAt::Bytes(SplitAt::Record(1024))));
        assert_eq!(split_at("rows"), Ok(CutAt::Rows));
        for text in ["", "line", "record", "record:", "record:0", "record:x"] {
            assert!(split_at(text).is_err(), "{text}");
        }
    }

    #[test]
    fn item_files_have_a_path_and_perhaps_bytes_or_rows() {
        let parse = |text: &str| item_file(text.into());
        let part = |path: &str, range| ItemFile::Part(FilePart { path: path.into(), range });
        assert_eq!(parse("a.npy[3:15]"), ItemFile::Rows("a.npy".into(), 3..15));
        assert_eq!(parse("a[0][1:1]"), ItemFile::Rows("a[0]".into(), 1..1));
        assert_eq!(parse("a[0:1]@0+5"), part("a[0:1]", Some((0, 5))));
        for path in ["a", "[0:1]", "a[0:1", "a[0]", "a[:]", "a[-1:1]", "a[0:1]x"] {
            assert_eq!(parse(path), part(path, None));
        }
    }

    #[test]
    fn inputs_have_a_name_a_path_and_perhaps_a_range() {
        let parse = |text: &str| named_input(text.into());
        let named = |name: &str, path: &str, range| {
            Ok(NamedInput { name: name.into(), file: FilePart { path: path.into(), range } })
        };
        assert_eq!(parse("data=a.bin"), named("data", "a.bin", None));
        assert_eq!(parse("data=a.bin@4K+1M"), named("data", "a.bin", Some((4096, 1 << 20))));
        assert_eq!(parse("d=a@b@0+5"), named("d", "a@b", Some((0, 5))));
        assert_eq!(parse("d=user@host"), named("d", "user@host", None));
        assert_eq!(parse("d=a=b"), named("d", "a=b", None));
        assert_eq!(parse("d=@1+2"), named("d", "@1+2", None));
        for text in ["", "data", "=a", "data=", "="] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
