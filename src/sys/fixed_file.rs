//! Anonymous memory files whose size cannot change: what two processes share without trusting each other with it.
//!
//! Sources: memfd_create(2), fcntl(2) `F_ADD_SEALS`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

/// Makes one of `len` zero bytes, sealed against growing and shrinking: mapping it can never fault, and no process can
/// make it eat memory.
pub fn create(name: &str, len: u64) -> io::Result<File> {
    let file = File::from(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.set_len(len)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(file)
}

/// Whether nobody can change the file's size or contents any more.
pub fn is_immutable(file: &File) -> io::Result<bool> {
    Ok(fcntl_get_seals(file)?.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE))
}

/// The text at the start of such a file, up to the first zero byte, on one line and without control characters.
pub fn text(file: &File) -> String {
    let mut bytes = vec![0; 4096];
    let len = file.read_at(&mut bytes, 0).unwrap_or(0);
    let end = bytes[..len].iter().position(|&byte| byte == 0).unwrap_or(len);
    let text = String::from_utf8_lossy(&bytes[..end]);
    text.trim().replace('\n', " | ").chars().filter(|c| !c.is_control()).collect()
}

/// Makes a memory file of `len` zero bytes for a task's result; [`seal`] makes it immutable when it is complete.
pub fn create_output(len: u64) -> io::Result<File> {
    let file = File::from(memfd_create("wrun-output", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.set_len(len)?;
    Ok(file)
}

/// Makes a memory file immutable, for everybody and for good.
///
/// # Errors
///
/// `EBUSY` where some process still has it mapped writable.
pub fn seal(file: &File) -> io::Result<()> {
    Ok(fcntl_add_seals(file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?)
}

/// A file's length in bytes, by fstat(2): unlike the standard library's way, that takes no path.
pub fn len(file: &File) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}
