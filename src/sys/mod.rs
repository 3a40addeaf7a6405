//! The only code that calls the operating system directly.

#[cfg(test)]
mod attack_tests;
pub mod code_file;
pub mod compiler_process;
pub mod fault;
pub mod fixed_file;
pub mod interrupt;
mod memfd;
pub mod path_access;
pub mod poll;
pub mod private_dir;
pub mod process;
pub mod read_only_map;
pub mod rlimit;
pub mod seccomp;
pub mod self_exe;
pub mod shared;
pub mod socket;
mod waker;
pub mod window;

pub(crate) use memfd::sealed_memfd;
pub use waker::Waker;
