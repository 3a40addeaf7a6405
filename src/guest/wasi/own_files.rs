//! Calls about open files of the task's own.

use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime_wasi::p1::types::{
    CiovecArray, Errno, Error, Fdflags, Fdstat, Filestat, Filetype, Fstflags, IovecArray, Rights, Timestamp, Whence,
};
use wiggle::GuestMemory;

use super::context::Wasi;
use super::descriptors::{Descriptor, OpenFile};
use crate::guest::files::{Device, FileError, Kind, MAX_FILE_BYTES, NodeId, Stat, Tree};
use crate::guest::host_error::HostError;
use crate::guest::open_files::GuestInput;
use crate::ipc::wire::{InputFault, InputFaultKind, Mapped};
use crate::sys::memory_file;

/// How many bytes are read at a time.
const CHUNK: u32 = 64 << 10;

/// The device number of all files of the task's own. wasmtime-wasi gives 1 for those in granted directories.
const DEVICE: u64 = 2;

impl From<FileError> for Error {
    fn from(error: FileError) -> Error {
        let errno = match error {
            FileError::BadDescriptor => Errno::Badf,
            FileError::Busy => Errno::Busy,
            FileError::CrossDevice => Errno::Xdev,
            FileError::Exists => Errno::Exist,
            FileError::FileTooLarge => Errno::Fbig,
            FileError::Invalid => Errno::Inval,
            FileError::IsDirectory => Errno::Isdir,
            FileError::Loop => Errno::Loop,
            FileError::NameTooLong => Errno::Nametoolong,
            FileError::NoEntry => Errno::Noent,
            FileError::NoSpace => Errno::Nospc,
            FileError::NotDirectory => Errno::Notdir,
            FileError::NotEmpty => Errno::Notempty,
            FileError::NotPermitted => Errno::Perm,
            FileError::ReadOnly => Errno::Rofs,
            FileError::Input(fault) => return Error::trap(HostError::Input(fault).into()),
        };
        errno.into()
    }
}

impl Wasi {
    /// The time for files, in nanoseconds since 1970. It does not count as a look at the task's clock.
    pub(super) fn file_time(&self) -> u64 {
        match &self.clock {
            Some(clock) => clock.wall_ns(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
        }
    }

    /// An open file of the task's own.
    ///
    /// # Errors
    ///
    /// If the descriptor is no such file.
    pub(super) fn own_file(&self, number: u32) -> Result<OpenFile, Errno> {
        match self.descriptors.get(number)? {
            Descriptor::File(file) => Ok(*file),
            _ => Err(Errno::Badf),
        }
    }

    /// Reads a file of the task's own, at `at` or where it is; returns how many bytes.
    pub(super) fn read_own(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: u32,
        buffers: IovecArray,
        at: Option<u64>,
    ) -> Result<u32, Error> {
        let file = self.own_file(number)?;
        self.take_fuel(u64::from(buffers.len()) * 8)?;
        let start = at.unwrap_or(file.position);
        if start > MAX_FILE_BYTES {
            return Err(Errno::Inval.into());
        }
        if !file.reads {
            return Err(Errno::Badf.into());
        }
        let tree = self.files.tree();
        let mut chunk = Vec::new();
        let mut total = 0u32;
        'buffers: for buffer in buffers.iter() {
            let buffer = memory.read(buffer?)?;
            let mut done = 0;
            while done < buffer.buf_len {
                let wanted = (buffer.buf_len - done).min(CHUNK).min(u32::MAX - total);
                check_end(start, total, wanted)?;
                chunk.resize(wanted as usize, 0);
                let count = read(tree, file.node, start + u64::from(total), &mut chunk)? as u32;
                memory.copy_from_slice(&chunk[..count as usize], buffer.buf.add(done)?.as_array(count))?;
                done += count;
                total += count;
                if count < wanted || count == 0 {
                    break 'buffers;
                }
            }
        }
        if at.is_none() {
            self.descriptors.file_mut(number)?.position = start + u64::from(total);
        }
        Ok(total)
    }

    /// Writes to a file of the task's own, at `at` or where it is; returns how many bytes there was space for.
    pub(super) fn write_own(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: u32,
        buffers: CiovecArray,
        at: Option<u64>,
    ) -> Result<u32, Error> {
        let file = self.own_file(number)?;
        self.take_fuel(u64::from(buffers.len()) * 8)?;
        let now = self.file_time();
        let tree = self.files.tree_mut();
        // As on Linux, a file that appends does so wherever a call wants to write.
        let start = if file.appends { tree.stat(file.node).len } else { at.unwrap_or(file.position) };
        if start > MAX_FILE_BYTES {
            return Err(Errno::Inval.into());
        }
        if !file.writes {
            return Err(Errno::Badf.into());
        }
        let mut total = 0u32;
        for buffer in buffers.iter() {
            let buffer = memory.read(buffer?)?;
            let len = buffer.buf_len.min(u32::MAX - total);
            check_end(start, total, len)?;
            let bytes = memory.as_cow(buffer.buf.as_array(len))?;
            let count = match tree.kind(file.node) {
                Kind::Device(_) => len,
                _ => match tree.write(file.node, start + u64::from(total), &bytes, now) {
                    Ok(count) => count as u32,
                    Err(error) if total == 0 => return Err(error.into()),
                    Err(_) => break,
                },
            };
            total += count;
            if count < buffer.buf_len {
                break;
            }
        }
        if at.is_none() {
            self.descriptors.file_mut(number)?.position = start + u64::from(total);
        }
        Ok(total)
    }

    /// Moves the position of a file of the task's own.
    pub(super) fn seek_own(&mut self, number: u32, offset: i64, whence: Whence) -> Result<u64, Error> {
        let file = self.own_file(number)?;
        let stat = self.files.tree().stat(file.node);
        if let Kind::Device(_) = stat.kind {
            return Ok(0);
        }
        let position = match whence {
            Whence::Set => 0u64.checked_add_signed(offset),
            Whence::Cur => file.position.checked_add_signed(offset),
            Whence::End => stat.len.checked_add_signed(offset),
        };
        let position = position.ok_or(Errno::Inval)?;
        self.descriptors.file_mut(number)?.position = position;
        Ok(position)
    }

    /// Sets the length of a file of the task's own.
    pub(super) fn set_own_size(&mut self, number: u32, len: u64) -> Result<(), Error> {
        let file = self.own_file(number)?;
        if !file.writes {
            return Err(Errno::Inval.into());
        }
        let now = self.file_time();
        Ok(self.files.tree_mut().set_len(file.node, len, now)?)
    }

    /// Sets the times of a node of the task's own.
    pub(super) fn set_own_times(
        &mut self,
        node: NodeId,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<(), Error> {
        let now = self.file_time();
        let time =
            |given: Fstflags, value: u64, current: Fstflags| match (flags.contains(given), flags.contains(current)) {
                (true, true) => Err(Errno::Inval),
                (true, false) => Ok(Some(value)),
                (false, true) => Ok(Some(now)),
                (false, false) => Ok(None),
            };
        let accessed = time(Fstflags::ATIM, accessed, Fstflags::ATIM_NOW)?;
        let modified = time(Fstflags::MTIM, modified, Fstflags::MTIM_NOW)?;
        Ok(self.files.tree_mut().set_times(node, accessed, modified, now)?)
    }

    /// The attributes of a node of the task's own.
    pub(super) fn own_stat(&self, node: NodeId) -> Filestat {
        let Stat { number, kind, names, len, times } = self.files.tree().stat(node);
        Filestat {
            dev: DEVICE,
            ino: number,
            filetype: file_type(kind),
            nlink: names.into(),
            size: len,
            atim: times.accessed,
            mtim: times.modified,
            ctim: times.changed,
        }
    }

    /// What an open file of the task's own allows, as wasmtime-wasi has it for files.
    pub(super) fn own_file_flags(&self, number: u32) -> Result<Fdstat, Errno> {
        let file = self.own_file(number)?;
        let mut rights = Rights::all();
        if !file.reads {
            rights &= !(Rights::FD_READ | Rights::FD_READDIR);
        }
        if !file.writes {
            rights &= !Rights::FD_WRITE;
        }
        let mut flags = Fdflags::empty();
        flags.set(Fdflags::APPEND, file.appends);
        flags.set(Fdflags::NONBLOCK, file.is_nonblocking);
        Ok(Fdstat {
            fs_filetype: file_type(self.files.tree().kind(file.node)),
            fs_flags: flags,
            fs_rights_base: rights,
            fs_rights_inheriting: rights,
        })
    }

    /// Changes whether a file of the task's own appends.
    pub(super) fn set_own_flags(&mut self, number: u32, flags: Fdflags) -> Result<(), Errno> {
        let file = self.descriptors.file_mut(number)?;
        if flags.intersects(Fdflags::DSYNC | Fdflags::SYNC | Fdflags::RSYNC) {
            return Err(Errno::Inval);
        }
        file.appends = flags.contains(Fdflags::APPEND);
        file.is_nonblocking = flags.contains(Fdflags::NONBLOCK);
        Ok(())
    }

    /// Takes a part of the bytes that one call may take over.
    pub(super) fn take_fuel(&mut self, bytes: u64) -> Result<(), Errno> {
        self.fuel = self.fuel.checked_sub(bytes).ok_or(Errno::Nomem)?;
        Ok(())
    }
}

/// What an open directory of the task's own allows, as wasmtime-wasi has it.
pub(super) fn directory_flags(is_preopen: bool) -> Fdstat {
    let (base, inheriting) = if is_preopen {
        let base = Rights::PATH_CREATE_DIRECTORY
            | Rights::PATH_CREATE_FILE
            | Rights::PATH_LINK_SOURCE
            | Rights::PATH_LINK_TARGET
            | Rights::PATH_OPEN
            | Rights::FD_READDIR
            | Rights::PATH_READLINK
            | Rights::PATH_RENAME_SOURCE
            | Rights::PATH_RENAME_TARGET
            | Rights::PATH_SYMLINK
            | Rights::PATH_REMOVE_DIRECTORY
            | Rights::PATH_UNLINK_FILE
            | Rights::PATH_FILESTAT_GET
            | Rights::PATH_FILESTAT_SET_TIMES
            | Rights::FD_FILESTAT_GET
            | Rights::FD_FILESTAT_SET_TIMES;
        let files = Rights::FD_DATASYNC
            | Rights::FD_READ
            | Rights::FD_SEEK
            | Rights::FD_FDSTAT_SET_FLAGS
            | Rights::FD_SYNC
            | Rights::FD_TELL
            | Rights::FD_WRITE
            | Rights::FD_ADVISE
            | Rights::FD_ALLOCATE
            | Rights::FD_FILESTAT_SET_SIZE
            | Rights::POLL_FD_READWRITE;
        (base, base | files)
    } else {
        let not_of_directories =
            Rights::FD_SEEK | Rights::FD_FILESTAT_SET_SIZE | Rights::PATH_FILESTAT_SET_SIZE | Rights::FD_WRITE;
        let rights = Rights::all() & !not_of_directories;
        (rights, rights)
    };
    Fdstat {
        fs_filetype: Filetype::Directory,
        fs_flags: Fdflags::empty(),
        fs_rights_base: base,
        fs_rights_inheriting: inheriting,
    }
}

/// Checks that the first bytes of a call lie where a file can have any.
fn check_end(start: u64, done: u32, len: u32) -> Result<(), Errno> {
    match done == 0 && start + u64::from(len) > MAX_FILE_BYTES {
        true => Err(Errno::Inval),
        false => Ok(()),
    }
}

pub(super) fn file_type(kind: &Kind) -> Filetype {
    match kind {
        Kind::Directory(_) => Filetype::Directory,
        Kind::Input { .. } | Kind::File(_) => Filetype::RegularFile,
        Kind::Link(_) => Filetype::SymbolicLink,
        Kind::Device(Device::Null | Device::Stream(_)) => Filetype::CharacterDevice,
    }
}

/// Reads a file from an offset on; returns how many bytes there were.
fn read(tree: &Tree, node: NodeId, at: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
    match tree.kind(node) {
        Kind::File(contents) => Ok(contents.read(at, buffer)),
        Kind::Input { input, index } => read_input(input, *index, at, buffer),
        Kind::Device(_) => Ok(0),
        Kind::Directory(_) | Kind::Link(_) => Err(FileError::BadDescriptor),
    }
}

/// Reads exactly the task's range of a file.
fn read_input(input: &GuestInput, index: u32, at: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
    let left = usize::try_from(input.len.saturating_sub(at)).unwrap_or(usize::MAX);
    let wanted = buffer.len().min(left);
    let fault = |kind| FileError::Input(InputFault { of: Mapped::Input(index), kind });
    let mut done = 0;
    while done < wanted {
        let position = at + done as u64;
        match input.file.read_at(&mut buffer[done..wanted], input.offset + position) {
            Ok(0) => {
                let file_len = memory_file::len(&input.file).unwrap_or(0);
                return Err(fault(InputFaultKind::Truncated { file_len }));
            }
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(fault(InputFaultKind::Unreadable { offset: position })),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_input_is_its_range_and_a_file_that_is_too_short_is_a_fault() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"0123456789").expect("it can be written");
        let input = GuestInput { file: Arc::new(file), offset: 2, len: 5, immutable: false };
        let mut buffer = [0; 8];
        assert_eq!(read_input(&input, 1, 0, &mut buffer), Ok(5));
        assert_eq!(&buffer[..5], b"23456");
        assert_eq!(read_input(&input, 1, 4, &mut buffer), Ok(1));
        assert_eq!(read_input(&input, 1, 5, &mut buffer), Ok(0));
        assert_eq!(read_input(&input, 1, u64::MAX, &mut buffer), Ok(0));
        input.file.set_len(4).expect("it can be cut");
        let kind = InputFaultKind::Truncated { file_len: 4 };
        let fault = Err(FileError::Input(InputFault { of: Mapped::Input(1), kind }));
        assert_eq!(read_input(&input, 1, 0, &mut buffer), fault);
        assert_eq!(read_input(&input, 1, 0, &mut buffer[..2]), Ok(2), "these bytes are there");
    }
}
