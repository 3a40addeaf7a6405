//! WASI preview 1 for a task: what is about its own files is done here, everything else is passed on to wasmtime-wasi's context.
//!
//! wasmtime-wasi has no seam for files that are not the system's. So this implements the trait of all calls once more, with descriptors
//! of its own, and wiggle decodes the task's arguments for it in the same way.
//!
//! Source: WASI preview 1 (wasi_snapshot_preview1.witx).

use wasmtime_wasi::p1::types::{
    Advice, CiovecArray, Clockid, Dircookie, Errno, Error, Event, Exitcode, Fd, Fdflags, Fdstat, Filedelta, Filesize,
    Filestat, Fstflags, IovecArray, Lookupflags, Oflags, Prestat, PrestatDir, Riflags, Rights, Roflags, Sdflags,
    Siflags, Signal, Size, Subscription, Timestamp, Whence,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1;
use wiggle::{GuestMemory, GuestPtr};

use super::context::Wasi;
use super::descriptors::Descriptor;
use super::open_call::OpenFlags;
use super::own_files::directory_flags;
use super::target::Target;
use crate::guest::files::NodeId;

/// Calls that have nothing to do with descriptors.
macro_rules! pass_on {
    ($($name:ident($($parameter:ident: $ty:ty),*) -> $result:ty;)+) => { $(
        fn $name(&mut self, memory: &mut GuestMemory<'_>, $($parameter: $ty),*) -> $result {
            self.ctx.$name(memory, $($parameter),*)
        }
    )+ };
}

/// Calls for sockets, which no descriptor is.
macro_rules! no_socket {
    ($($name:ident($($parameter:ident: $ty:ty),*) -> $result:ty;)+) => { $(
        fn $name(&mut self, _memory: &mut GuestMemory<'_>, fd: Fd, $($parameter: $ty),*) -> Result<$result, Error> {
            // Programs that have no directory take the number of the task's own root for one that is free.
            match self.target(fd)? {
                Target::Directory(NodeId::ROOT) => Err(Errno::Badf.into()),
                _ => Err(Errno::Notsock.into()),
            }
        }
    )+ };
}

impl WasiSnapshotPreview1 for Wasi {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.fuel = fuel as u64;
        self.ctx.set_hostcall_fuel(fuel);
    }

    pass_on! {
        args_get(argv: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> Result<(), Error>;
        args_sizes_get() -> Result<(Size, Size), Error>;
        environ_get(environ: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> Result<(), Error>;
        environ_sizes_get() -> Result<(Size, Size), Error>;
        clock_res_get(id: Clockid) -> Result<Timestamp, Error>;
        clock_time_get(id: Clockid, precision: Timestamp) -> Result<Timestamp, Error>;
        proc_exit(code: Exitcode) -> wasmtime::Error;
        proc_raise(signal: Signal) -> Result<(), Error>;
        sched_yield() -> Result<(), Error>;
        random_get(buffer: GuestPtr<u8>, len: Size) -> Result<(), Error>;
    }

    no_socket! {
        sock_accept(_flags: Fdflags) -> Fd;
        sock_recv(_buffers: IovecArray, _flags: Riflags) -> (Size, Roflags);
        sock_send(_buffers: CiovecArray, _flags: Siflags) -> Size;
        sock_shutdown(_how: Sdflags) -> ();
    }

    async fn fd_advise(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
        advice: Advice,
    ) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_advise(memory, fd, offset, len, advice).await,
            Target::File if i64::try_from(len).is_err() => Err(Errno::Inval.into()),
            Target::File => Ok(()),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    fn fd_allocate(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
    ) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_allocate(memory, fd, offset, len),
            Target::File => Err(Errno::Notsup.into()),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_close(&mut self, _memory: &mut GuestMemory<'_>, fd: Fd) -> Result<(), Error> {
        let descriptor = self.descriptors.remove(fd.into())?;
        self.listings.forget(fd.into());
        self.close(descriptor).await
    }

    async fn fd_datasync(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_datasync(memory, fd).await,
            Target::File => Ok(()),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_fdstat_get(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Result<Fdstat, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_fdstat_get(memory, fd).await,
            Target::File => Ok(self.own_file_flags(fd.into())?),
            Target::Directory(_) => {
                Ok(directory_flags(matches!(self.descriptors.get(fd.into())?, Descriptor::Preopen(_))))
            }
        }
    }

    fn fd_fdstat_set_flags(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, flags: Fdflags) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_fdstat_set_flags(memory, fd, flags),
            Target::File => Ok(self.set_own_flags(fd.into(), flags)?),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    fn fd_fdstat_set_rights(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        base: Rights,
        inheriting: Rights,
    ) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_fdstat_set_rights(memory, fd, base, inheriting),
            Target::File | Target::Directory(_) => Err(Errno::Notsup.into()),
        }
    }

    async fn fd_filestat_get(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Result<Filestat, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_filestat_get(memory, fd).await,
            Target::File => Ok(self.own_stat(self.own_file(fd.into())?.node)),
            Target::Directory(node) => {
                self.make_files().await;
                Ok(self.own_stat(node))
            }
        }
    }

    async fn fd_filestat_set_size(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        size: Filesize,
    ) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_filestat_set_size(memory, fd, size).await,
            Target::File => self.set_own_size(fd.into(), size),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<(), Error> {
        let node = match self.target(fd)? {
            Target::Context(fd) => {
                return self.ctx.fd_filestat_set_times(memory, fd, accessed, modified, flags).await;
            }
            Target::File => self.own_file(fd.into())?.node,
            Target::Directory(node) => {
                self.make_files().await;
                node
            }
        };
        self.set_own_times(node, accessed, modified, flags)
    }

    async fn fd_pread(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffers: IovecArray,
        offset: Filesize,
    ) -> Result<Size, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_pread(memory, fd, buffers, offset).await,
            Target::File => self.read_own(memory, fd.into(), buffers, Some(offset)),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    fn fd_prestat_get(&mut self, _memory: &mut GuestMemory<'_>, fd: Fd) -> Result<Prestat, Error> {
        match *self.descriptors.get(fd.into())? {
            Descriptor::Preopen(position) => {
                let len = self.files.preopen_path(position).len() as u32;
                Ok(Prestat::Dir(PrestatDir { pr_name_len: len }))
            }
            _ => Err(Errno::Badf.into()),
        }
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<u8>,
        len: Size,
    ) -> Result<(), Error> {
        match *self.descriptors.get(fd.into())? {
            Descriptor::Preopen(position) => {
                let name = self.files.preopen_path(position).as_bytes();
                if name.len() > len as usize {
                    return Err(Errno::Nametoolong.into());
                }
                Ok(memory.copy_from_slice(name, path.as_array(name.len() as u32))?)
            }
            _ => Err(Errno::Notdir.into()),
        }
    }

    async fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffers: CiovecArray,
        offset: Filesize,
    ) -> Result<Size, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_pwrite(memory, fd, buffers, offset).await,
            Target::File => self.write_own(memory, fd.into(), buffers, Some(offset)),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_read(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, buffers: IovecArray) -> Result<Size, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_read(memory, fd, buffers).await,
            Target::File => self.read_own(memory, fd.into(), buffers, None),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffer: GuestPtr<u8>,
        len: Size,
        cookie: Dircookie,
    ) -> Result<Size, Error> {
        self.list(memory, fd, buffer.as_array(len), cookie).await
    }

    async fn fd_renumber(&mut self, _memory: &mut GuestMemory<'_>, from: Fd, to: Fd) -> Result<(), Error> {
        let (from, to): (u32, u32) = (from.into(), to.into());
        self.descriptors.get(to)?;
        self.descriptors.get(from)?;
        if from == to {
            return Ok(());
        }
        self.listings.forget(from);
        self.listings.forget(to);
        let replaced = self.descriptors.remove(to)?;
        self.descriptors.renumber(from, to);
        self.close(replaced).await
    }

    async fn fd_seek(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        offset: Filedelta,
        whence: Whence,
    ) -> Result<Filesize, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_seek(memory, fd, offset, whence).await,
            Target::File => self.seek_own(fd.into(), offset, whence),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_sync(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Result<(), Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_sync(memory, fd).await,
            Target::File => Ok(()),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    fn fd_tell(&mut self, memory: &mut GuestMemory<'_>, fd: Fd) -> Result<Filesize, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_tell(memory, fd),
            Target::File => Ok(self.own_file(fd.into())?.position),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn fd_write(&mut self, memory: &mut GuestMemory<'_>, fd: Fd, buffers: CiovecArray) -> Result<Size, Error> {
        match self.target(fd)? {
            Target::Context(fd) => self.ctx.fd_write(memory, fd, buffers).await,
            Target::File => self.write_own(memory, fd.into(), buffers, None),
            Target::Directory(_) => Err(Errno::Badf.into()),
        }
    }

    async fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        self.descriptors.directory(fd.into())?;
        let path = self.read_path(memory, path)?;
        self.create_directory(fd, path).await
    }

    async fn path_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat, Error> {
        self.descriptors.directory(fd.into())?;
        let path = self.read_path(memory, path)?;
        self.stat_path(fd, lookup, path).await
    }

    async fn path_filestat_set_times(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<(), Error> {
        self.descriptors.directory(fd.into())?;
        let path = self.read_path(memory, path)?;
        self.set_path_times(fd, lookup, path, (accessed, modified, flags)).await
    }

    async fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_fd: Fd,
        lookup: Lookupflags,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        self.descriptors.directory(old_fd.into())?;
        self.descriptors.directory(new_fd.into())?;
        let old_path = self.read_path(memory, old_path)?;
        let new_path = self.read_path(memory, new_path)?;
        self.link((old_fd, lookup, old_path), (new_fd, new_path)).await
    }

    async fn path_open(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        open: Oflags,
        rights: Rights,
        inheriting: Rights,
        file: Fdflags,
    ) -> Result<Fd, Error> {
        let path = self.read_path(memory, path)?;
        self.open_path(fd, path, OpenFlags { lookup, open, rights, inheriting, file }).await
    }

    async fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        len: Size,
    ) -> Result<Size, Error> {
        self.descriptors.directory(fd.into())?;
        let path = self.read_path(memory, path)?;
        self.read_link(memory, fd, path, buffer.as_array(len)).await
    }

    async fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        self.descriptors.directory(fd.into())?;
        let path = self.read_path(memory, path)?;
        self.remove_directory(fd, path).await
    }

    async fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        old_fd: Fd,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<(), Error> {
        self.descriptors.directory(old_fd.into())?;
        self.descriptors.directory(new_fd.into())?;
        let old_path = self.read_path(memory, old_path)?;
        let new_path = self.read_path(memory, new_path)?;
        self.rename((old_fd, old_path), (new_fd, new_path)).await
    }

    async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        target: GuestPtr<str>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        self.descriptors.directory(fd.into())?;
        let target = self.read_path(memory, target)?;
        let path = self.read_path(memory, path)?;
        self.symlink(target, fd, path).await
    }

    async fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<(), Error> {
        self.descriptors.directory(fd.into())?;
        let path = self.read_path(memory, path)?;
        self.unlink(fd, path).await
    }

    async fn poll_oneoff(
        &mut self,
        memory: &mut GuestMemory<'_>,
        subscriptions: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size, Error> {
        self.poll(memory, subscriptions, events, count).await
    }
}
