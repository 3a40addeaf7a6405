//! The tasks of a `map`, made of words, lines, files or pieces of files as they are asked for.
//!
//! ```text
//! words, or LineReader ──▶ Items ──▶ LoggedItems (notes each task for the job log; adds outcomes of an earlier run) ──▶ the run
//! ```

pub mod earlier_run;
pub mod line_reader;
pub mod resume;

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;
use std::task::{Poll, ready};

use wrun::backend::Waker;
use wrun::input::Pieces;
use wrun::job::NpyPieces;
use wrun::{Input, Source, SplitAt, SplitSize, Task};

use super::file_roles::FileRoles;
use super::options::values::CutAt;
use crate::report::ItemKind;
use line_reader::LineReader;

/// What tasks do with an item.
#[derive(Clone, Copy)]
pub enum ItemUse {
    /// It is a task's argument.
    Argument,
    /// It is the path of a file, which is mapped.
    File,
    /// It is the path of a file, which is cut into pieces.
    Pieces(SplitSize, Option<CutAt>),
}

/// The role of a file that is an item.
pub const ITEM_ROLE: &str = "the item";

/// A file that is being cut.
pub enum FilePieces {
    /// At bytes.
    Bytes(Pieces),
    /// Between rows of an array.
    Rows(NpyPieces),
}

impl FilePieces {
    /// Opens a file to be cut; its name decides where, unless `at` does.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, or cannot be cut there.
    pub fn open(name: &[u8], size: SplitSize, at: Option<CutAt>) -> wrun::Result<FilePieces> {
        let by_name = if name.ends_with(b".npy") { CutAt::Rows } else { CutAt::Bytes(SplitAt::Lines) };
        match at.unwrap_or(by_name) {
            CutAt::Bytes(at) => open(name)?.split(size, at).map(FilePieces::Bytes),
            CutAt::Rows => Input::npy(OsStr::from_bytes(name))?.split(size).map(FilePieces::Rows),
        }
    }

    /// An upper bound of the number of pieces.
    pub fn at_most(&self) -> u64 {
        let (_, most) = match self {
            FilePieces::Bytes(pieces) => pieces.size_hint(),
            FilePieces::Rows(pieces) => pieces.size_hint(),
        };
        most.unwrap_or(0) as u64
    }
}

/// A file that is being cut, with its name.
struct OpenFile {
    name: Vec<u8>,
    pieces: FilePieces,
}

impl OpenFile {
    fn next_task(&mut self) -> Option<Task> {
        match &mut self.pieces {
            FilePieces::Rows(pieces) => pieces.next(),
            FilePieces::Bytes(pieces) => match pieces.next()? {
                Ok(piece) => Some(piece.into()),
                Err(error) => Some(Task::unrunnable(self.name.clone(), format!("cannot be read: {error}"))),
            },
        }
    }
}

/// Where the items come from.
enum ItemSource {
    Words(std::vec::IntoIter<OsString>),
    Lines { reader: LineReader, name: String },
}

/// The tasks of a `map`, made as they are asked for.
pub struct Items {
    source: ItemSource,
    item_use: ItemUse,
    longest: usize,
    /// Files that the command writes, which no item may be.
    roles: FileRoles,
    /// The file that is being cut.
    file: Option<OpenFile>,
    taken: u64,
    total: Rc<Cell<Option<u64>>>,
    failure: Rc<RefCell<Option<anyhow::Error>>>,
}

impl Items {
    /// Items from the command line, which are up to `total` tasks.
    pub fn from_words(words: Vec<OsString>, total: u64, item_use: ItemUse, longest: usize) -> Items {
        Items::new(ItemSource::Words(words.into_iter()), Some(total), item_use, longest)
    }

    /// Items that a reader finds; `name` is what messages call its file.
    pub fn from_lines(reader: LineReader, name: String, item_use: ItemUse, longest: usize) -> Items {
        Items::new(ItemSource::Lines { reader, name }, None, item_use, longest)
    }

    fn new(source: ItemSource, total: Option<u64>, item_use: ItemUse, longest: usize) -> Items {
        let (total, failure) = (Rc::new(Cell::new(total)), Rc::default());
        Items { source, item_use, longest, roles: FileRoles::default(), file: None, taken: 0, total, failure }
    }

    /// Refuses items that are files with one of these roles.
    #[must_use]
    pub fn without_files_of(self, roles: FileRoles) -> Items {
        Items { roles, ..self }
    }

    /// The number of tasks, as soon as it is known: exact, or an upper bound while files are being cut.
    pub fn total(&self) -> Rc<Cell<Option<u64>>> {
        Rc::clone(&self.total)
    }

    /// Why the items ended early, if they did.
    pub fn failure(&self) -> Rc<RefCell<Option<anyhow::Error>>> {
        Rc::clone(&self.failure)
    }

    /// What the items are to a task.
    pub fn kind(&self) -> ItemKind {
        match self.item_use {
            ItemUse::Argument => ItemKind::Text,
            ItemUse::File | ItemUse::Pieces(..) => ItemKind::File,
        }
    }

    /// The arguments that are known before the run starts: those given on the command line.
    pub fn known_arguments(&self) -> &[OsString] {
        match (&self.source, self.item_use) {
            (ItemSource::Words(words), ItemUse::Argument) => words.as_slice(),
            _ => &[],
        }
    }

    /// Waits for the next task, for callers outside a run.
    pub fn wait_for_task(&mut self) -> Option<Task> {
        if let ItemSource::Lines { reader, .. } = &mut self.source {
            reader.start(|| {});
        }
        loop {
            match (self.poll_task(), &mut self.source) {
                (Poll::Ready(task), _) => return task,
                (Poll::Pending, ItemSource::Lines { reader, .. }) => reader.wait(),
                (Poll::Pending, ItemSource::Words(_)) => {}
            }
        }
    }

    /// The next item; `None` at the end or after an error, which is recorded.
    fn poll_item(&mut self) -> Poll<Option<Vec<u8>>> {
        match &mut self.source {
            ItemSource::Words(words) => Poll::Ready(words.next().map(OsString::into_vec)),
            ItemSource::Lines { reader, name } => Poll::Ready(match ready!(reader.poll_next()) {
                Ok(item) => item,
                Err(error) => {
                    let error = anyhow::Error::new(error).context(format!("cannot read {name}"));
                    self.failure.replace(Some(error));
                    None
                }
            }),
        }
    }

    /// The next piece of the file that is being cut.
    fn next_piece(&mut self) -> Option<Task> {
        let task = self.file.as_mut()?.next_task();
        if task.is_none() {
            self.file = None;
        }
        task
    }

    /// Makes an item's task; `None` if it is a file that is cut, whose pieces follow.
    fn task(&mut self, mut item: Vec<u8>) -> Option<Task> {
        if item.len() > self.longest {
            item.truncate(self.longest);
            return Some(Task::unrunnable(item, too_long(self.longest)));
        }
        if !matches!(self.item_use, ItemUse::Argument)
            && let Some(problem) = self.roles.problem_of(ITEM_ROLE, OsStr::from_bytes(&item).as_ref())
        {
            return Some(Task::unrunnable(item, problem));
        }
        let opened = match self.item_use {
            ItemUse::Argument => return Some(Task::new(item)),
            ItemUse::File => open(&item).map(|input| Some(Task::from(input))),
            ItemUse::Pieces(size, at) => FilePieces::open(&item, size, at).map(|pieces| {
                self.file = Some(OpenFile { name: item.clone(), pieces });
                None
            }),
        };
        opened.unwrap_or_else(|error| Some(Task::unrunnable(item, format!("{:#}", anyhow::Error::new(error)))))
    }
}

/// The message for an item that is too long.
pub fn too_long(longest: usize) -> String {
    format!(
        "item is longer than {longest} bytes; raise that with --max-argument, or put it into a file and use --files"
    )
}

fn open(name: &[u8]) -> wrun::Result<Input> {
    Input::open(OsStr::from_bytes(name))
}

impl Source for Items {
    fn attach(&mut self, waker: Waker) {
        if let ItemSource::Lines { reader, .. } = &mut self.source {
            reader.start(move || waker.wake());
        }
    }

    fn poll_task(&mut self) -> Poll<Option<Task>> {
        loop {
            let task = match self.next_piece() {
                Some(task) => Some(task),
                None => match ready!(self.poll_item()) {
                    Some(item) => self.task(item),
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
    use crate::cli::options::items::ItemArgs;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        items: ItemArgs,
    }

    const LONGEST: usize = 64 << 10;

    fn open(words: &[&str]) -> anyhow::Result<Items> {
        Line::try_parse_from(["wrun"].iter().chain(words))?.items.open(LONGEST, FileRoles::default())
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
