//! Options about the items of a `map`: where they come from, and what they are.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use wrun::{Input, SplitSize};

use super::values::{self, CutAt};
use crate::cli::errors::usage;
use crate::cli::file_roles::FileRoles;
use crate::cli::items::line_reader::LineReader;
use crate::cli::items::{FilePieces, ITEM_ROLE, ItemUse, Items, too_long};

/// Where the items come from, and what they are.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Items")]
pub struct ItemArgs {
    /// Run one task for each ITEM, which is the task's argument [default: the lines of standard input]
    #[arg(value_name = "ITEM", allow_negative_numbers = true, help_heading = None)]
    words: Vec<OsString>,

    /// Read the items from FILE, one per line (`-` is standard input)
    #[arg(long = "items", value_name = "FILE", conflicts_with = "words")]
    list: Option<PathBuf>,

    /// End each item that is read from a file or standard input with a NUL byte instead of a newline
    #[arg(short = '0', long, conflicts_with = "words")]
    null: bool,

    /// Take each ITEM as the path of a file, and map the file as the task's input 0
    #[arg(long)]
    files: bool,

    /// Take each ITEM as the path of a file, and cut the file into pieces of about SIZE bytes (64K, 16M, 1G), one task per piece
    #[arg(long, value_name = "SIZE", value_parser = values::size_above_0, conflicts_with = "split_into")]
    split: Option<u64>,

    /// Take each ITEM as the path of a file, and cut the file into N pieces of about the same size, one task per piece
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    split_into: Option<u64>,

    /// Cut only after newlines (lines), anywhere (bytes), at multiples of N bytes (record:N), or between rows of the array in a .npy
    /// file (rows) [default: rows for files named .npy, lines for others]
    #[arg(long, value_name = "WHERE", value_parser = values::split_at)]
    split_at: Option<CutAt>,
}

impl ItemArgs {
    /// Checks that the list of items, and files among the words, are not written as well.
    ///
    /// # Errors
    ///
    /// If one is.
    pub fn check_roles(&self, roles: &FileRoles) -> anyhow::Result<()> {
        match self.list.as_deref().filter(|path| path.as_os_str() != "-") {
            Some(path) => roles.read("--items", path),
            None if self.words.is_empty() => roles.read_stream("standard input", io::stdin()),
            None if matches!(self.item_use()?, ItemUse::Argument) => Ok(()),
            None => self.words.iter().try_for_each(|word| roles.read(ITEM_ROLE, word.as_ref())),
        }
    }

    /// Opens the source of the items, of at most `longest` bytes each. Files that are named on the command line are opened once, to
    /// check that they can be; those that are named elsewhere must have none of the `roles`.
    ///
    /// # Errors
    ///
    /// If there is no source of items, or an item on the command line cannot become a task.
    pub fn open(&self, longest: usize, roles: FileRoles) -> anyhow::Result<Items> {
        let item_use = self.item_use()?;
        if self.words.is_empty() {
            let (file, name) = open_list(self.list.as_deref())?;
            let separator = if self.null { 0 } else { b'\n' };
            let reader = LineReader::new(file, separator, longest);
            return Ok(Items::from_lines(reader, name, item_use, longest).without_files_of(roles));
        }
        let mut total = 0;
        for word in &self.words {
            total += check_word(word, item_use, longest)?;
        }
        Ok(Items::from_words(self.words.clone(), total, item_use, longest))
    }

    fn item_use(&self) -> anyhow::Result<ItemUse> {
        let size = match (self.split, self.split_into) {
            (Some(bytes), _) => SplitSize::Bytes(bytes),
            (None, Some(pieces)) => SplitSize::Pieces(pieces),
            (None, None) if self.split_at.is_some() => {
                return Err(usage("--split-at says where to cut; add --split SIZE or --split-into N to cut at all"));
            }
            (None, None) if self.files => return Ok(ItemUse::File),
            (None, None) => return Ok(ItemUse::Argument),
        };
        Ok(ItemUse::Pieces(size, self.split_at))
    }
}

/// Checks that an item on the command line can become tasks, and counts them.
fn check_word(word: &OsString, item_use: ItemUse, longest: usize) -> anyhow::Result<u64> {
    match item_use {
        ItemUse::Argument if word.len() > longest => Err(usage(too_long(longest))),
        ItemUse::Argument => Ok(1),
        // Each file is opened again for its task: there may be more of them than can be open at once.
        ItemUse::File => Ok(Input::open(word).map(|_| 1)?),
        ItemUse::Pieces(size, at) => Ok(FilePieces::open(word.as_bytes(), size, at)?.at_most()),
    }
}

/// Opens the file that lists the items; gives also its name for messages.
fn open_list(path: Option<&Path>) -> anyhow::Result<(File, String)> {
    match path {
        Some(path) if path.as_os_str() != "-" => {
            let name = format!("items file {path:?}");
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
