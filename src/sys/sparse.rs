//! Holes of sparse files, which can be passed over without being read.
//!
//! Source: lseek(2), `SEEK_DATA`.

use std::fs::File;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The first byte at or after `offset` that is not in a hole; `None` where a hole, or nothing, is all that is left. Where the file
/// system tells nothing of holes it is `offset` itself.
///
/// This moves the file's own position, which nobody uses: all reads say where.
pub fn next_data(file: &File, offset: u64) -> Option<u64> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Some(data.max(offset)),
        Err(Errno::NXIO) => None,
        Err(_) => Some(offset),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn data_behind_a_hole_is_found() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        file.write_all_at(b"x", 5 << 20).unwrap();
        // A block or more of data around what was written; a file system without holes has nothing else.
        let first = next_data(&file, 0).unwrap();
        assert!(first <= 5 << 20);
        assert_eq!(next_data(&file, 5 << 20), Some(5 << 20));
        assert_eq!(next_data(&file, 10 << 20), None);
    }
}
