//! What a `map` runs over: words, lines, files, or pieces of files.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, ready};

use anyhow::{Context as _, bail};
use wrun::{Input, NpyPieces, Pieces, Source, SplitAt, SplitSize, Task, Waker};

use super::lines::Lines;
use super::parse::{self, CutAt};
use super::usage;
use crate::report::ItemsAre;

/// Where the items come from, and what they are.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Items")]
pub struct ItemArgs {
    /// Run one task for each ITEM, which is its argument; without any, for each line of standard input
    #[arg(value_name = "ITEM", allow_negative_numbers = true, help_heading = None)]
    words: Vec<OsString>,

    /// Take the items from the lines of FILE (`-` is standard input)
    #[arg(long = "items", value_name = "FILE", conflicts_with = "words")]
    list: Option<PathBuf>,

    /// End items that are read from a file or standard input with a NUL byte instead of a newline
    #[arg(short = '0', long, conflicts_with = "words")]
    null: bool,

    /// Map each ITEM, which is a file's path, as the task's input 0
    #[arg(long)]
    files: bool,

    /// Cut each ITEM, which is a file's path, into pieces of about SIZE (64K, 16M, 1G), a task each
    #[arg(long, value_name = "SIZE", value_parser = parse::size_above_0, conflicts_with = "split_into")]
    split: Option<u64>,

    /// Cut each ITEM, which is a file's path, into N pieces of about the same size, a task each
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    split_into: Option<u64>,

    /// Cut only after line ends (lines), anywhere (bytes), at multiples of N bytes (record:N), or between rows of the array in a
    /// .npy file (rows) [default: rows for files named .npy, lines for others]
    #[arg(long, value_name = "WHERE", value_parser = parse::split_at)]
    split_at: Option<CutAt>,
}

/// The tasks of a `map`, made as they are asked for.
pub struct Items {
    names: Names,
    kind: Kind,
    longest: usize,
    /// Pieces of the file that is being split, and its name.
    pieces: Option<(Vec<u8>, Cut)>,
    taken: u64,
    total: Rc<Cell<Option<u64>>>,
    failure: Rc<RefCell<Option<anyhow::Error>>>,
}

enum Names {
    Words(std::vec::IntoIter<OsString>),
    Lines { lines: Lines, from: String },
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Files,
    Split(SplitSize, Option<CutAt>),
}

/// A file that is being split.
enum Cut {
    Bytes(Pieces),
    Rows(NpyPieces),
}

impl Cut {
    /// Opens a file to be split; where no place is told, its name tells it.
    fn open(name: &[u8], size: SplitSize, at: Option<CutAt>) -> wrun::Result<Cut> {
        let by_name = if name.ends_with(b".npy") { CutAt::Rows } else { CutAt::Bytes(SplitAt::Lines) };
        match at.unwrap_or(by_name) {
            CutAt::Bytes(at) => open(name)?.split(size, at).map(Cut::Bytes),
            CutAt::Rows => Input::npy(OsStr::from_bytes(name))?.split(size).map(Cut::Rows),
        }
    }

    /// How many pieces there are at most.
    fn most(&self) -> u64 {
        let (_, most) = match self {
            Cut::Bytes(pieces) => pieces.size_hint(),
            Cut::Rows(pieces) => pieces.size_hint(),
        };
        most.unwrap_or(0) as u64
    }
}

impl ItemArgs {
    /// Finds the items, of at most `longest` bytes each. Files that are given as words are opened once, to see that they
    /// can be.
    ///
    /// # Errors
    ///
    /// Where there is nothing to take items from, or a word cannot become a task.
    pub fn open(self, longest: usize) -> anyhow::Result<Items> {
        let kind = self.kind()?;
        let mut total = None;
        let names = if !self.words.is_empty() {
            total = Some(self.words.iter().map(|word| check_word(word, kind, longest)).sum::<anyhow::Result<u64>>()?);
            Names::Words(self.words.into_iter())
        } else {
            let (file, from) = open_list(self.list.as_deref())?;
            let separator = if self.null { 0 } else { b'\n' };
            Names::Lines { lines: Lines::new(file, separator, longest), from }
        };
        Ok(Items {
            names,
            kind,
            longest,
            pieces: None,
            taken: 0,
            total: Rc::new(Cell::new(total)),
            failure: Rc::default(),
        })
    }

    fn kind(&self) -> anyhow::Result<Kind> {
        let size = match (self.split, self.split_into) {
            (Some(bytes), _) => SplitSize::Bytes(bytes),
            (None, Some(pieces)) => SplitSize::Pieces(pieces),
            (None, None) if self.split_at.is_some() => {
                return Err(usage("--split-at says where to cut; add --split SIZE or --split-into N to cut at all"));
            }
            (None, None) if self.files => return Ok(Kind::Files),
            (None, None) => return Ok(Kind::Text),
        };
        Ok(Kind::Split(size, self.split_at))
    }
}

/// Checks that a word can become tasks, and counts them.
fn check_word(word: &OsString, kind: Kind, longest: usize) -> anyhow::Result<u64> {
    match kind {
        Kind::Text if word.len() > longest => Err(usage(too_long(longest))),
        Kind::Text => Ok(1),
        // Files are opened again when their turn comes, because there may be more of them than may be open at once.
        Kind::Files => Ok(Input::open(word).map(|_| 1)?),
        Kind::Split(size, at) => Ok(Cut::open(word.as_bytes(), size, at)?.most()),
    }
}

fn too_long(longest: usize) -> String {
    format!(
        "item is longer than {longest} bytes; raise that with --max-argument, or put it into a file and use --files"
    )
}

/// Opens the file that holds the items, and says what to call it in messages.
fn open_list(path: Option<&Path>) -> anyhow::Result<(File, String)> {
    match path {
        Some(path) if path.as_os_str() != "-" => {
            let name = format!("items file {:?}", path.display().to_string());
            let opened = File::open(path).and_then(|file| file.metadata().map(|metadata| (file, metadata.is_dir())));
            match opened {
                Ok((_, true)) => bail!("cannot use {name}: it is a directory; name the file that lists the items"),
                Ok((file, false)) => Ok((file, name)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    bail!("cannot open {name}: no such file; check the path")
                }
                Err(error) => Err(error).with_context(|| format!("cannot open {name}")),
            }
        }
        None if io::stdin().is_terminal() => {
            Err(usage("no items; give them as words, with --items FILE, or as lines on standard input"))
        }
        _ => {
            let stdin = io::stdin().as_fd().try_clone_to_owned().context("cannot use standard input")?;
            Ok((stdin.into(), "standard input".to_owned()))
        }
    }
}

impl Items {
    /// How many tasks there are, as soon as that is known; exact, or an upper bound while lines are split.
    pub fn total(&self) -> Rc<Cell<Option<u64>>> {
        Rc::clone(&self.total)
    }

    /// Where it will be said why there are no more items, if that is not because they came to their end.
    pub fn failure(&self) -> Rc<RefCell<Option<anyhow::Error>>> {
        Rc::clone(&self.failure)
    }

    /// What the items are to a task.
    pub fn are(&self) -> ItemsAre {
        match self.kind {
            Kind::Text => ItemsAre::Text,
            Kind::Files | Kind::Split(..) => ItemsAre::Files,
        }
    }

    /// The arguments that are known before the run starts: those given as words.
    pub fn known_arguments(&self) -> &[OsString] {
        match (&self.names, self.kind) {
            (Names::Words(words), Kind::Text) => words.as_slice(),
            _ => &[],
        }
    }

    /// The next item's text or file name; `None` at the end or after an error, which is noted.
    fn poll_name(&mut self) -> Poll<Option<Vec<u8>>> {
        match &mut self.names {
            Names::Words(words) => Poll::Ready(words.next().map(OsString::into_vec)),
            Names::Lines { lines, from } => Poll::Ready(match ready!(lines.poll_next()) {
                Ok(name) => name,
                Err(error) => {
                    let error = anyhow::Error::new(error).context(format!("cannot read {from}"));
                    self.failure.replace(Some(error));
                    None
                }
            }),
        }
    }

    /// The next piece of the file that is being split.
    fn next_piece(&mut self) -> Option<Task> {
        let (name, pieces) = self.pieces.as_mut()?;
        let task = match pieces {
            Cut::Rows(pieces) => pieces.next(),
            Cut::Bytes(pieces) => match pieces.next() {
                Some(Ok(piece)) => Some(piece.into()),
                Some(Err(error)) => Some(Task::unrunnable(name.clone(), format!("cannot be read: {error}"))),
                None => None,
            },
        };
        if task.is_none() {
            self.pieces = None;
        }
        task
    }

    /// Makes a name's task; `None` where it is a file that has pieces (or none).
    fn task(&mut self, mut name: Vec<u8>) -> Option<Task> {
        if name.len() > self.longest {
            name.truncate(self.longest);
            return Some(Task::unrunnable(name, too_long(self.longest)));
        }
        let made = match self.kind {
            Kind::Text => return Some(Task::new(name)),
            Kind::Files => open(&name).map(|input| Some(Task::from(input))),
            Kind::Split(size, at) => Cut::open(&name, size, at).map(|pieces| {
                self.pieces = Some((name.clone(), pieces));
                None
            }),
        };
        made.unwrap_or_else(|error| Some(Task::unrunnable(name, format!("{:#}", anyhow::Error::new(error)))))
    }
}

fn open(name: &[u8]) -> wrun::Result<Input> {
    Input::open(OsStr::from_bytes(name))
}

impl Items {
    /// Waits for the next task; for callers who are no run.
    pub fn wait_for_task(&mut self) -> Option<Task> {
        if let Names::Lines { lines, .. } = &mut self.names {
            lines.start(|| {});
        }
        loop {
            match (self.poll_task(), &mut self.names) {
                (Poll::Ready(task), _) => return task,
                (Poll::Pending, Names::Lines { lines, .. }) => lines.wait(),
                (Poll::Pending, Names::Words(_)) => {}
            }
        }
    }
}

impl Source for Items {
    fn attach(&mut self, waker: Waker) {
        if let Names::Lines { lines, .. } = &mut self.names {
            lines.start(move || waker.wake());
        }
    }

    fn poll_task(&mut self) -> Poll<Option<Task>> {
        loop {
            let task = match self.next_piece() {
                Some(task) => Some(task),
                None => match ready!(self.poll_name()) {
                    Some(name) => self.task(name),
                    None => {
                        self.total.set(Some(self.taken));
                        return Poll::Ready(None);
                    }
                },
            };
            if task.is_some() {
                self.taken += 1;
                return Poll::Ready(task);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        items: ItemArgs,
    }

    const LONGEST: usize = 64 << 10;

    fn open(words: &[&str]) -> anyhow::Result<Items> {
        Line::try_parse_from(["wrun"].iter().chain(words))?.items.open(LONGEST)
    }

    /// The arguments of all tasks, which come without waiting.
    fn arguments(items: &mut Items) -> Vec<String> {
        let mut arguments = Vec::new();
        while let Poll::Ready(Some(task)) = items.poll_task() {
            assert_eq!(task.unrunnable, None);
            arguments.push(String::from_utf8(task.argument.to_vec()).unwrap());
        }
        arguments
    }

    #[test]
    fn words_are_arguments_and_can_be_negative_numbers() {
        let mut items = open(&["a b", "", "-2"]).unwrap();
        assert_eq!(items.total().get(), Some(3));
        assert_eq!(items.known_arguments(), ["a b", "", "-2"]);
        assert_eq!(arguments(&mut items), ["a b", "", "-2"]);
    }

    #[test]
    fn files_are_split_one_after_the_other_and_empty_ones_give_no_task() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name).to_str().unwrap().to_owned();
            std::fs::write(&path, text).unwrap();
            path
        };
        let (one, none, two) = (path("one", "1\n2\n3\n"), path("none", ""), path("two", "4\n"));
        let mut items = open(&["--split", "2", &one, &none, &two]).unwrap();
        assert_eq!(items.total().get(), Some(4));
        let pieces = [format!("{one}@0+2"), format!("{one}@2+2"), format!("{one}@4+2"), two.clone()];
        assert_eq!(arguments(&mut items), pieces);
        assert_eq!(arguments(&mut open(&["--files", &one, &none]).unwrap()), [one, none]);

        // The estimate counts targets, some of which a long line leaves no place for; the end sets it right.
        let long = path("long", "12345678\n9\n");
        let mut items = open(&["--split", "2", &long]).unwrap();
        assert_eq!(items.total().get(), Some(6));
        assert_eq!(arguments(&mut items).len(), 2);
        assert_eq!(items.total().get(), Some(2));
    }

    #[test]
    fn a_file_that_goes_away_fails_its_own_task() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut items = open(&["--files", file.path().to_str().unwrap()]).unwrap();
        drop(file);
        let Poll::Ready(Some(task)) = items.poll_task() else { panic!("no task") };
        assert!(task.unrunnable.unwrap().ends_with("no such file; check the path"));
    }

    #[test]
    fn words_that_cannot_be_tasks_are_refused_at_once() {
        let refused = |words: &[&str]| open(words).err().unwrap().to_string();
        assert!(refused(&["--files", "/nowhere/x"]).starts_with(r#"cannot use input "/nowhere/x""#));
        assert!(refused(&[&"a".repeat(LONGEST + 1)]).starts_with("item is longer than 65536 bytes"));
        assert!(refused(&["--split-at", "bytes", "x"]).starts_with("--split-at says where to cut"));
        assert!(refused(&["--items", "list", "x"]).contains("cannot be used with"));
        assert!(refused(&["--split", "1", "--split-into", "2", "x"]).contains("cannot be used with"));
    }
}
