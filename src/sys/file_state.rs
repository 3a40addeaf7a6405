//! The state of a file, by which a change of its contents is noticed without reading it.
//!
//! Source: inode(7).

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Identifies a state of a file. Times are seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileState {
    pub device: u64,
    pub inode: u64,
    /// Its length, in bytes.
    pub size: u64,
    /// When its contents last changed; this time can be set at will.
    pub modified: (i64, i64),
    /// When its inode last changed.
    pub changed: (i64, i64),
}

impl FileState {
    pub fn of(metadata: &Metadata) -> FileState {
        FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// How long it takes from `now` until a change of the file is certain to give it another state, if its times tell apart changes
    /// that are `granule` apart.
    pub fn unsettled_for(&self, now: SystemTime, granule: Duration) -> Duration {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = |time: (i64, i64)| {
            Duration::new(u64::try_from(time.0).unwrap_or(0), u32::try_from(time.1).unwrap_or(0).min(999_999_999))
        };
        let changed = (since(self.changed) + granule).saturating_sub(now);
        // Only a value close to now can occur again by itself.
        let modified = since(self.modified);
        let is_now = modified < now + granule;
        changed.max(if is_now { (modified + granule).saturating_sub(now) } else { Duration::ZERO })
    }

    /// All its numbers, little-endian.
    pub fn to_bytes(self) -> [u8; 56] {
        let FileState { device, inode, size, modified, changed } = self;
        let times = [modified.0, modified.1, changed.0, changed.1].map(i64::cast_unsigned);
        let numbers = [device, inode, size].into_iter().chain(times);
        let mut bytes = [0; 56];
        bytes.chunks_exact_mut(8).zip(numbers).for_each(|(to, number)| to.copy_from_slice(&number.to_le_bytes()));
        bytes
    }
}
