//! Allocates disk space for a range of a file, and zeroes a range.
//!
//! Source: fallocate(2).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Makes sure that the range is inside the file and has space on the disk; its contents are kept. If the file system cannot allocate
/// space, the file is only made long enough, and a full disk shows when a page is written (SIGBUS).
pub fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    match retry(|| fallocate(file, FallocateFlags::empty(), offset, len)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let end = offset + len;
            if file.metadata()?.len() < end { file.set_len(end) } else { Ok(()) }
        }
        other => Ok(other?),
    }
}

/// Zeroes the range without changing the file's length.
pub fn zero(file: &File, offset: u64, len: u64) -> io::Result<()> {
    match retry(|| fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(file, offset, len),
        other => Ok(other?),
    }
}

fn write_zeros(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let zeros = vec![0; len.min(1 << 20) as usize];
    let end = (offset + len).min(file.metadata()?.len());
    let mut at = offset;
    while at < end {
        let part = (end - at).min(zeros.len() as u64);
        file.write_all_at(&zeros[..part as usize], at)?;
        at += part;
    }
    Ok(())
}

fn retry(mut call: impl FnMut() -> rustix::io::Result<()>) -> rustix::io::Result<()> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_range_becomes_zeros() {
        for zero in [zero, write_zeros] {
            let file = tempfile::tempfile().unwrap();
            allocate(&file, 0, 20_000).unwrap();
            file.write_all_at(&[7; 20_000], 0).unwrap();
            zero(&file, 4000, 9001).unwrap();
            zero(&file, 19_999, 50_000).unwrap();
            let mut bytes = vec![1; 20_001];
            assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 20_000, "the length stays");
            let is_zero = |at: usize| (4000..13_001).contains(&at) || at == 19_999;
            assert!((0..20_000).all(|at| bytes[at] == if is_zero(at) { 0 } else { 7 }));
        }
    }

    #[test]
    fn what_is_there_stays_when_room_is_made() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        allocate(&file, 1, 9).unwrap();
        let mut bytes = [1; 11];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 10);
        assert_eq!(&bytes[..10], b"abc\0\0\0\0\0\0\0");
    }
}
