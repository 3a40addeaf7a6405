//! The resolution of a file's times: how far apart changes must be for the times to differ.
//!
//! Sources: inode(7), statfs(2). The kernel stamps a change with the time of its last tick; there are at least 100 ticks a second.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// Longer than a tick.
const TICK: Duration = Duration::from_millis(20);
/// Longer than the resolution of the coarsest file system (FAT: 2 s), and than a file server's clock may be off.
const COARSE: Duration = Duration::from_secs(3);

/// File systems that use this machine's clock and store nanoseconds: their magic numbers from linux/magic.h or their sources.
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

/// A change of the file's contents that comes at least this long after another one is certain to alter the file's times.
pub fn granule(file: &File) -> Duration {
    let is_fine = rustix::fs::fstatfs(file).is_ok_and(|system| FINE.contains(&(system.f_type as u64 & 0xffff_ffff)));
    // ext4 on disks that were formatted as ext2 stores whole seconds.
    let has_nanoseconds = |file: &File| file.metadata().is_ok_and(|metadata| metadata.ctime_nsec() != 0);
    if is_fine && has_nanoseconds(file) { TICK } else { COARSE }
}

/// Lets time pass until a change would show in a file's times.
pub fn wait(time: Duration) {
    std::thread::sleep(time);
}
