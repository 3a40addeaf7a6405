//! How finely a file's times tell changes apart.
//!
//! Sources: inode(7), statfs(2); the times of a change are those of the kernel's last tick, of which there are at least 100 a second.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// More than a tick.
const TICK: Duration = Duration::from_millis(20);
/// More than the coarsest file system counts by (FAT: 2 s), and than the clock of a file server may be off.
const COARSE: Duration = Duration::from_secs(3);

/// File systems that take times from this machine's clock and keep nanoseconds: their numbers in linux/magic.h or their sources.
const FINE: [u64; 8] = [
    0xef53,      // ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
    0xf2f5_2010, // F2FS
    0x2fc1_2fc1, // ZFS
    0xca45_1a4e, // bcachefs
];

/// After this time a change of a file's contents certainly gives it another time of change.
pub fn granule(file: &File) -> Duration {
    let is_fine = rustix::fs::fstatfs(file).is_ok_and(|system| FINE.contains(&(system.f_type as u64 & 0xffff_ffff)));
    // ext4 on disks that were made for ext2 counts by the second.
    let has_nanoseconds = |file: &File| file.metadata().is_ok_and(|metadata| metadata.ctime_nsec() != 0);
    if is_fine && has_nanoseconds(file) { TICK } else { COARSE }
}

/// Lets time pass, until a change would be seen.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}
