//! Guest modules: reading, compiling in a process of its own, caching, describing.
//!
//! ```text
//! source -> cache? -> compile (this process) -> helper (the compiler process) -> artifact -> cache
//!                                          -> binary -> describe -> resources, proposals
//!                                                                             -> description -> choose, imports
//! ```

pub(crate) mod artifact;
mod binary;
mod cache;
mod choose;
pub(crate) mod code_file;
mod compile;
pub(crate) mod compiled;
pub(crate) mod compiler;
mod component;
pub(crate) mod debug;
mod describe;
pub(crate) mod description;
pub(crate) mod engine;
pub(crate) mod explain;
mod fingerprint;
mod functions;
mod helper;
mod imports;
mod known_files;
mod load;
mod memory_use;
mod proposals;
#[cfg(test)]
mod refusal_tests;
mod resources;
pub(crate) mod snapshot;
pub(crate) mod source;
pub(crate) mod task_world;
#[cfg(test)]
mod tests;
mod visible;
mod wasi_imports;
mod wave;
mod wit;

pub use cache::{Cache, CacheEntry, Cleared};
pub use compiled::Origin;
pub use description::{Described, Description, Extern, Memory, NotCallable};
pub(crate) use fingerprint::is_this_compiler;
pub(crate) use helper::{OTHER_VERSION, ROLE as HELPER_ROLE, UNKNOWN_ARGUMENTS, give_answer, helper_main};
pub use imports::Grant;
pub(crate) use snapshot::{FailedInitializer, ROLE as SNAPSHOT_ROLE, SnapshotAnswer, SnapshotRequest};
pub(crate) use wasi_imports::{WASI_MODULE, WASI_UNSTABLE_MODULE, is_wasi};
pub use wave::check_arguments;
pub(crate) use wave::parse_arguments;
#[doc(inline)]
pub use wrun_ipc::entry::{Entry, Function, Number, Param, Scalar, ValueType};
