//! The only code that calls the operating system directly.

pub mod allocate;
#[cfg(test)]
mod attack_tests;
pub mod compiler_process;
pub mod fault;
pub mod file_clock;
pub mod interrupt;
pub mod machine;
pub mod memory_file;
pub mod path_access;
pub mod poll;
pub mod private_dir;
pub mod process;
pub mod read_ahead;
pub mod read_only_map;
pub mod rlimit;
pub mod seccomp;
pub mod self_exe;
pub mod shared;
pub mod socket;
pub mod sparse;
mod waker;
pub mod window;

pub use waker::Waker;
