//! A worker's open files, by the numbers that the pool assigned.

use std::fs::File;
use std::sync::Arc;

use crate::ipc::wire::InputRange;
use crate::sys::memory_file;

/// Open files by number.
#[derive(Debug, Default)]
pub(crate) struct FileTable(Vec<Option<OpenFile>>);

#[derive(Clone, Debug)]
struct OpenFile {
    file: Arc<File>,
    /// It is a sealed memory file, which nobody can change.
    immutable: bool,
}

/// A range of an open file that a task may see.
#[derive(Clone, Debug)]
pub(crate) struct GuestInput {
    /// The file.
    pub file: Arc<File>,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// The file is a sealed memory file, so its length need not be checked again.
    pub immutable: bool,
}

impl FileTable {
    /// Inserts a file. An earlier file with this number is closed once no task uses it.
    pub fn insert(&mut self, number: u32, file: File) {
        let index = number as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        let immutable = memory_file::is_immutable(&file).unwrap_or(false);
        self.0[index] = Some(OpenFile { file: Arc::new(file), immutable });
    }

    /// Closes the file with this number once no task uses it.
    pub fn close(&mut self, number: u32) {
        if let Some(file) = self.0.get_mut(number as usize) {
            *file = None;
        }
    }

    /// Closes all files except the first `count`; the others belong to tasks of the last job.
    pub fn truncate(&mut self, count: u32) {
        self.0.truncate(count as usize);
    }

    /// The range of a file, by the file's number.
    ///
    /// # Panics
    ///
    /// Panics if there is no such file, which the pool's protocol excludes.
    pub fn input(&self, range: &InputRange) -> GuestInput {
        let file = self.0.get(range.file as usize).cloned().flatten();
        let OpenFile { file, immutable } = file.expect("a task's files come before it");
        GuestInput { file, offset: range.offset, len: range.len, immutable }
    }
}
