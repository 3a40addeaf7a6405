//! Resource limits of this process.
//!
//! Sources: setrlimit(2), prctl(2) `PR_SET_NO_NEW_PRIVS`.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::OnceLock;

pub use rustix::process::Resource;
use rustix::process::{Rlimit, getrlimit, setrlimit};

/// A limit that this process sets on itself, irrevocably.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What is limited.
    pub resource: Resource,
    /// The limit's value.
    pub most: u64,
}

/// Sets limits; a limit that is already lower stays.
pub fn limit(limits: &[Limit]) -> io::Result<()> {
    for &Limit { resource, most } in limits {
        let most = getrlimit(resource).maximum.map_or(most, |maximum| maximum.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// The limit that this process has, in bytes, processes or descriptors; `None` if it has none.
pub fn current(resource: Resource) -> Option<u64> {
    getrlimit(resource).current
}

/// How many bytes of address space this process may have, as of the first call; `None` if there is no limit.
pub fn address_space() -> Option<u64> {
    static ADDRESS_SPACE: OnceLock<Option<u64>> = OnceLock::new();
    *ADDRESS_SPACE.get_or_init(|| current(Resource::As))
}

/// Whether this descriptor's number is in the upper half of those that this process may use. New descriptors get the lowest free
/// number, so about that many are then open.
pub fn is_high(fd: impl AsFd) -> bool {
    u64::try_from(fd.as_fd().as_raw_fd()).is_ok_and(|number| number >= descriptors() / 2)
}

/// How many descriptors with a higher number than this one this process may have. Most of these are then free.
pub fn above(fd: impl AsFd) -> u64 {
    let number = u64::try_from(fd.as_fd().as_raw_fd()).unwrap_or(0);
    descriptors().saturating_sub(number + 1)
}

/// The most descriptors that this process may have, as of the first call.
pub fn descriptors() -> u64 {
    static DESCRIPTORS: OnceLock<u64> = OnceLock::new();
    *DESCRIPTORS.get_or_init(|| getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX))
}

/// Makes sure that this process can gain no privileges by executing programs.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}
