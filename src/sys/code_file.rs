//! Files whose bytes are to be executed: memory files that are written once and then never change, and others.
//!
//! Sources: memfd_create(2); the seals: fcntl(2), "File Sealing"; mmap(2) on `EPERM` and noexec.

use std::fs::File;
use std::io;

use rustix::fs::{MemfdFlags, StatVfsMountFlags, fstatvfs, memfd_create};

/// An empty memory file that grows as it is written. Nothing of it is left behind, whatever is killed.
pub fn growing(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?.into())
}

/// Whether the kernel refuses to execute what is mapped from this file, because its file system is mounted noexec.
///
/// Memory files are on no mount of that kind.
pub fn is_noexec(file: &File) -> io::Result<bool> {
    Ok(fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
