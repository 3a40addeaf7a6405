//! Anonymous memory files (memfds): what two processes share without trusting each other with it, and what nobody may change
//! any more. Nothing of them is left behind, whatever is killed.
//!
//! Sources: memfd_create(2), fcntl(2) "File Sealing"; mmap(2) on `EPERM` and noexec.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{
    MemfdFlags, OFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, fcntl_get_seals, fcntl_getfl, fstatvfs,
    memfd_create,
};

/// An empty one that grows as it is written.
pub fn growing(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

/// One of `len` zero bytes, sealed against growing and shrinking: mapping it can never fault, and no process can make it eat
/// memory.
pub fn fixed(name: &str, len: u64) -> io::Result<File> {
    let file = growing(name)?;
    file.set_len(len)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// One of `len` zero bytes for a task's result; [`seal`] makes it immutable when it is complete.
pub fn output(len: u64) -> io::Result<File> {
    let file = growing("wrun-output")?;
    file.set_len(len)?;
    Ok(file)
}

/// One with these bytes that can neither be written nor resized any more, by anyone.
pub fn sealed(bytes: &[u8]) -> io::Result<File> {
    let mut file = growing("wrun-input")?;
    file.write_all(bytes)?;
    seal(&file)?;
    Ok(file)
}

/// Makes one immutable, for everybody and for good.
///
/// # Errors
///
/// `EBUSY` where some process still has it mapped writable.
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

/// A file's length in bytes, by fstat(2): unlike the standard library's way, that takes no path.
pub fn len(file: &File) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// Whether it was opened for reading and writing.
pub fn is_writable(file: &File) -> io::Result<bool> {
    Ok(fcntl_getfl(file)?.contains(OFlags::RDWR))
}

/// Whether the kernel refuses to execute what is mapped from this file, because its file system is mounted noexec. Memory files
/// are on no mount of that kind.
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
