//! Anonymous memory files (memfds), for memory that two processes share without trusting each other, and for data that nobody can
//! change any more. They leave nothing behind, whichever process is killed.
//!
//! Sources: memfd_create(2), fcntl(2) "File Sealing"; mmap(2) on `EPERM` and noexec.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, fstatvfs,
    memfd_create,
};

/// An empty memory file that grows as it is written.
pub fn growing(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

/// A memory file of `len` zero bytes, sealed against growing and shrinking: a mapping of it can never fault, and no process can make it
/// use more memory.
pub fn fixed(name: &str, len: u64) -> io::Result<File> {
    let file = growing(name)?;
    file.set_len(len)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// A memory file of `len` zero bytes for a task's result; [`seal`] makes it immutable once it is complete.
pub fn output(len: u64) -> io::Result<File> {
    let file = growing("wrun-output")?;
    file.set_len(len)?;
    Ok(file)
}

/// A memory file with these bytes, which nobody can write to or resize any more.
pub fn sealed(bytes: &[u8]) -> io::Result<File> {
    let mut file = growing("wrun-input")?;
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file)
}

/// Makes a memory file immutable, for everybody and irrevocably.
///
/// # Errors
///
/// `EBUSY` if some process still has a writable mapping of it.
pub fn seal(file: &File) -> io::Result<()> {
    Ok(fcntl_add_seals(file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?)
}

/// Whether nobody can change the file's size or contents any more.
pub fn is_immutable(file: &File) -> io::Result<bool> {
    Ok(fcntl_get_seals(file)?.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE))
}

/// The text at the start of a file, up to the first zero byte, on one line and without control characters.
pub fn text(file: &File) -> String {
    let mut bytes = vec![0; 4096];
    let len = file.read_at(&mut bytes, 0).unwrap_or(0);
    let end = bytes[..len].iter().position(|&byte| byte == 0).unwrap_or(len);
    let text = String::from_utf8_lossy(&bytes[..end]);
    text.trim().replace('\n', " | ").chars().filter(|c| !c.is_control()).collect()
}

/// A file's length in bytes, by fstat(2). The standard library uses a call that can take a path as well.
pub fn len(file: &File) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// Whether the file was opened for reading and writing.
pub fn is_writable(file: &File) -> io::Result<bool> {
    Ok(fcntl_getfl(file)?.contains(OFlags::RDWR))
}

/// Whether the kernel refuses to execute mappings of this file, because its file system is mounted noexec. Memory files are never on
/// such a mount.
pub fn is_noexec(file: &File) -> io::Result<bool> {
    Ok(fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_memory_refuses_writes_and_new_sizes() {
        let file = sealed(b"abc").unwrap();
        let mut read = [0; 3];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"abc");
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(2).is_err());
        assert!(file.set_len(4).is_err());
        assert!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE).is_err());
    }
}
