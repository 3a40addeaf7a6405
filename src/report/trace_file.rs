//! The file of a trace, which is a whole JSON array at any time: also after this process was killed, and on a full disk.
//!
//! Events are collected in a file without a name. From time to time, and at the end, a copy of it with the array's end replaces the
//! trace in one step. Copying takes at most a twentieth of the time, so after a kill the trace lacks the last events.

use std::fs::{File, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::outlet;

const END: &[u8] = b"\n]\n";

/// The trace is replaced at most this often.
const REPLACE_INTERVAL: Duration = Duration::from_secs(1);

/// The trace is replaced again after this many times the time that it took.
const REPLACE_FACTOR: u32 = 20;

/// Where the events of a trace go.
#[derive(Debug)]
pub enum TraceFile {
    /// A regular file.
    Replaced(ReplacedFile),
    /// A file whose directory takes no other one, or which cannot be replaced. `position` is the offset of the next batch.
    InPlace { file: File, position: u64 },
    /// A pipe or device.
    Stream(File),
}

/// A file that is replaced by a whole one from time to time.
#[derive(Debug)]
pub struct ReplacedFile {
    path: PathBuf,
    permissions: Permissions,
    /// All events so far, without the array's end.
    events: File,
    len: u64,
    /// When it is replaced again; `None` before the first time.
    next: Option<Instant>,
}

impl TraceFile {
    /// Opens or creates the file. A regular file stays as it is until the first batch.
    pub fn create(path: &Path) -> io::Result<TraceFile> {
        // What a link leads to is replaced, and not the link.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let metadata = target.metadata();
        if metadata.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
            return File::create(path).map(TraceFile::Stream);
        }
        let permissions = metadata.map_or_else(|_| Permissions::from_mode(0o666), |metadata| metadata.permissions());
        match tempfile::tempfile_in(directory_of(&target)) {
            Ok(events) => {
                let (len, next) = (0, None);
                Ok(TraceFile::Replaced(ReplacedFile { path: target, permissions, events, len, next }))
            }
            // Opening the file itself works, or tells why it does not.
            Err(_) => TraceFile::in_place(path),
        }
    }

    fn in_place(path: &Path) -> io::Result<TraceFile> {
        Ok(TraceFile::InPlace { file: File::create(path)?, position: 0 })
    }

    /// Adds a batch of events; the first one begins the array.
    pub fn add(&mut self, batch: &[u8]) -> io::Result<()> {
        match self {
            TraceFile::Replaced(file) => {
                file.add(batch)?;
                match file.next {
                    Some(next) if Instant::now() < next => Ok(()),
                    Some(_) => file.replace(),
                    None => {
                        if file.replace().is_err() {
                            *self = TraceFile::in_place(&file.path)?;
                            return self.add(batch);
                        }
                        Ok(())
                    }
                }
            }
            TraceFile::InPlace { file, position } => {
                let written = file.write_all_at(&[batch, END].concat(), *position);
                if written.is_err() && *position > 0 {
                    // The end of the array, which has just been overwritten.
                    let restored = file.write_all_at(END, *position);
                    let _ = restored.and_then(|()| file.set_len(*position + END.len() as u64));
                }
                written?;
                *position += batch.len() as u64;
                Ok(())
            }
            TraceFile::Stream(file) => outlet::write_all(file, batch),
        }
    }

    /// Completes the trace.
    pub fn finish(&mut self) -> io::Result<()> {
        match self {
            TraceFile::Replaced(file) => file.replace(),
            TraceFile::InPlace { .. } => Ok(()),
            TraceFile::Stream(file) => outlet::write_all(file, END),
        }
    }
}

impl ReplacedFile {
    fn add(&mut self, batch: &[u8]) -> io::Result<()> {
        self.events.write_all_at(batch, self.len)?;
        self.len += batch.len() as u64;
        Ok(())
    }

    /// Replaces the trace by all events so far.
    fn replace(&mut self) -> io::Result<()> {
        let started = Instant::now();
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(".wrun-").permissions(self.permissions.clone());
        let mut copy = builder.tempfile_in(directory_of(&self.path)).map_err(without_path)?;
        self.events.rewind()?;
        io::copy(&mut self.events, copy.as_file_mut())?;
        copy.as_file_mut().write_all(END)?;
        copy.persist(&self.path).map_err(|error| without_path(error.error))?;
        self.next = Some(Instant::now() + (REPLACE_FACTOR * started.elapsed()).max(REPLACE_INTERVAL));
        Ok(())
    }
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The same error without the name of a temporary file, which would mean nothing to a user.
fn without_path(error: io::Error) -> io::Error {
    error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).map_or(error.kind(), io::Error::kind).into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_whole_whenever_it_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("trace"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        symlink("trace", &link).unwrap();
        let text = || fs::read_to_string(&path).unwrap();
        let mut file = TraceFile::create(&link).unwrap();
        assert_eq!(text(), "old");
        file.add(b"[\n0").unwrap();
        assert_eq!(text(), "[\n0\n]\n");
        file.add(b",\n1").unwrap();
        assert_eq!(text(), "[\n0\n]\n", "it is not replaced that often");
        let TraceFile::Replaced(replaced) = &mut file else { panic!("not replaced") };
        replaced.next = Some(Instant::now());
        file.add(b",\n2").unwrap();
        assert_eq!(text(), "[\n0,\n1,\n2\n]\n");
        file.add(b",\n3").unwrap();
        file.finish().unwrap();
        assert_eq!(text(), "[\n0,\n1,\n2,\n3\n]\n");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
    }
}
