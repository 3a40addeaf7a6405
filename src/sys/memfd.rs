//! Anonymous memory files whose contents can no longer change.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{MemfdFlags, memfd_create};

use super::fixed_file;

/// Copies `bytes` into a new memory file that can neither be written nor resized any more, by anyone.
///
/// Sources: memfd_create(2); the seals: fcntl(2), "File Sealing".
pub(crate) fn sealed_memfd(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("wrun-input", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(bytes)?;
    fixed_file::seal(&file)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use rustix::fs::{SealFlags, fcntl_add_seals};

    use super::*;

    #[test]
    fn sealed_memory_refuses_writes_and_new_sizes() {
        let file = sealed_memfd(b"abc").unwrap();
        let mut read = [0; 3];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"abc");
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(2).is_err());
        assert!(file.set_len(4).is_err());
        assert!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE).is_err());
    }
}
