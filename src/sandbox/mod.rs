//! What the system lets a worker (and a compiler) do: the policy, as data, and its layers in the order in which they are applied.
//!
//! A worker is a single process that has only the descriptors that it was given. Before any of the user's code or data reaches it,
//! it cuts itself off from everything else. `sandbox/seccomp.json` lists the system calls that it keeps, each with the reason.

use std::fs::File;
use std::io;

pub(crate) use wrun_ipc::confinement::Sandbox;
#[doc(inline)]
pub use wrun_ipc::confinement::{Layer, MissingLayer};

use crate::sys::path_access::{self, Access, Enforced};
use crate::sys::{rlimit, seccomp};

/// Applies the layers that must be in force before the worker gets the first file or module of the user. The calling thread must be
/// the only one that runs code of ours. The contents of `directories` stay accessible. Returns the layers that this machine lacks.
pub(crate) fn confine(directories: &[(File, Access)]) -> Vec<MissingLayer> {
    let mut missing = Vec::new();
    let mut note = |layer, done: io::Result<()>| {
        if let Err(error) = done {
            missing.push(MissingLayer::new(layer, error.to_string()));
        }
    };
    note(Layer::NoNewPrivileges, rlimit::no_new_privileges());
    note(Layer::ResourceLimits, rlimit::limit(&LIMITS));
    note(
        Layer::Landlock,
        path_access::restrict(directories).and_then(|enforced| match enforced {
            // On an older kernel Landlock does not cover the network and signals; seccomp denies those as well.
            Enforced::Fully | Enforced::Partly => Ok(()),
            Enforced::Not => Err(io::Error::other("this kernel does not support it, or it is switched off")),
        }),
    );
    // The filters of system calls are in `sandbox/seccomp.json`; `build.rs` compiles them.
    let filter = match directories {
        [] => "worker",
        _ if directories.iter().all(|(_, access)| *access == Access::ReadOnly) => "worker+reading",
        _ => "worker+reading+writing",
    };
    note(Layer::Seccomp, seccomp::apply(filter));
    missing
}

/// Why a process does not go on without these layers, if it needs all of them.
pub(crate) fn refusal(sandbox: Sandbox, missing: &[MissingLayer]) -> Option<String> {
    let is_refused = sandbox == Sandbox::Strict && !missing.is_empty();
    is_refused.then(|| format!("the sandbox is strict, and this machine lacks {}", MissingLayer::list(missing)))
}

/// Applies this filter alone, for a test of what it allows.
#[cfg(test)]
pub(crate) fn confine_by(filter: &str) {
    rlimit::no_new_privileges().expect("no new privileges");
    seccomp::apply(filter).expect("a filter");
}

/// Applies the layer that comes after a module is loaded and before its first task.
pub(crate) fn close_code(directories: &[(File, Access)]) -> Result<(), MissingLayer> {
    let filter = if directories.is_empty() { "loaded+no-paths" } else { "loaded" };
    seccomp::apply(filter).map_err(|error| MissingLayer::new(Layer::NoNewCode, error.to_string()))
}

/// How many descriptors a worker may have, unless the system allows it fewer.
pub(crate) const DESCRIPTORS: u64 = 16 << 10;

/// Resource limits of a worker's process.
const LIMITS: [rlimit::Limit; 4] = [
    // A core file would hold the user's data.
    rlimit::Limit { resource: rlimit::Resource::Core, most: 0 },
    // Enough for the job's shared inputs and those of 256 tasks under way.
    rlimit::Limit { resource: rlimit::Resource::Nofile, most: DESCRIPTORS },
    // Results are memory files, and can be no longer than what 32-bit addresses reach.
    rlimit::Limit { resource: rlimit::Resource::Fsize, most: 5 << 30 },
    // Threads count as processes, and so do all other processes of the user, so this cannot be small.
    rlimit::Limit { resource: rlimit::Resource::Nproc, most: 64 << 10 },
];

#[cfg(test)]
mod tests {
    #[test]
    fn every_rule_has_a_reason() {
        let filters: serde_json::Value = serde_json::from_str(include_str!("seccomp.json")).expect("JSON");
        for (name, filter) in filters.as_object().expect("filters") {
            for rule in filter["filter"].as_array().expect("rules") {
                let reason = rule["comment"].as_str().unwrap_or_default();
                assert!(reason.len() > 3, "{name}: {} has no reason", rule["syscall"]);
            }
        }
    }
}
