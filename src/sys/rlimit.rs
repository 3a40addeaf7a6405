//! Resource limits of this process.
//!
//! Sources: setrlimit(2), prctl(2) `PR_SET_NO_NEW_PRIVS`.

use std::io;

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

/// Makes sure that this process can gain no privileges by what it executes.
pub fn no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}
