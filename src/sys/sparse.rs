//! Holes in sparse files, which can be skipped without reading.
//!
//! Source: lseek(2), `SEEK_DATA`.

use std::fs::File;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The offset of the first byte at or after `offset` that is not in a hole; `None` if only a hole, or nothing, follows. If the file
/// system does not report holes, it is `offset` itself.
///
/// This moves the file's own position, which nobody uses: all reads give an offset.
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
        // At least a block of data surrounds what was written; on a file system without holes, everything is data.
        let first = next_data(&file, 0).unwrap();
        assert!(first <= 5 << 20);
        assert_eq!(next_data(&file, 5 << 20), Some(5 << 20));
        assert_eq!(next_data(&file, 10 << 20), None);
    }
}
