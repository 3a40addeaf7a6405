//! Opens paths that a user gave, without waiting for anybody.
//!
//! Opening a pipe waits until somebody opens its other end, and a pipe may take the place of a file at any time, also after a look at
//! the path. With `O_NONBLOCK` nothing waits, and the open descriptor shows what was opened. For regular files the flag means nothing.
//!
//! Sources: open(2), fifo(7).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a path with these options. The caller checks what it is.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()).open(path)
}

/// Opens a directory for reading.
pub fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::DIRECTORY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_without_a_writer_is_opened_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let file = open(&path, OpenOptions::new().read(true)).unwrap();
        assert!(!file.metadata().unwrap().is_file());
        assert!(open_directory(&path).is_err());
        assert!(open_directory(directory.path()).is_ok());
    }
}
