//! Resource limits of this process.
//!
//! Sources: setrlimit(2), prctl(2) `PR_SET_NO_NEW_PRIVS`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

pub use rustix::process::Resource;
use rustix::process::{Rlimit, getrlimit, setrlimit};

/// A limit that this process gives itself, for good.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// To how much.
    pub most: u64,
}

/// Sets limits; one that was lower from outside stays.
pub fn limit(limits: &[Limit]) -> io::Result<()> {
    for &Limit { resource, most } in limits {
        let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Whether this descriptor stands in the upper half of those that this process may have. New ones get the lowest free
/// number, so there are then as many.
pub fn is_high(fd: impl AsFd) -> bool {
    u64::try_from(fd.as_fd().as_raw_fd()).is_ok_and(|number| number >= descriptors() / 2)
}

/// The most descriptors that this process may have, as it was when it was first asked.
pub fn descriptors() -> u64 {
    static DESCRIPTORS: OnceLock<u64> = OnceLock::new();
    *DESCRIPTORS.get_or_init(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Makes sure that this process can gain no privileges by what it executes.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}
