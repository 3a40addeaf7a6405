//! The kernel decides how far to read a file ahead from the latest reads, and keeps that state with each open file description.
//!
//! Sources: open(2) "Open file descriptions"; proc(5) `/proc/pid/fd`.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;

use super::memory_file;

/// For smaller files, opening costs more than it gains.
const LEAST_BYTES: u64 = 1 << 20;

/// The same file, opened for reading once more. A process that gets this one does not share read-ahead state with others, whose jumps
/// would look like random access. `None` if the file is small, or cannot be opened again.
pub fn own_state(file: &File) -> Option<File> {
    if memory_file::len(file).ok()? < LEAST_BYTES {
        return None;
    }
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    #[test]
    fn a_large_file_is_opened_again_even_when_its_name_is_gone() {
        let mut file = tempfile::tempfile().expect("a file");
        assert!(own_state(&file).is_none(), "a small one");
        file.set_len(LEAST_BYTES).expect("a sparse file");
        let mut own = own_state(&file).expect("the file again");
        file.seek(SeekFrom::Start(8)).expect("a position");
        let read = own.read_to_end(&mut Vec::new()).expect("bytes");
        assert_eq!(read as u64, LEAST_BYTES, "from the start: a position of its own");
    }
}
