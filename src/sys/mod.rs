//! The only code that calls the operating system directly.

pub mod allocate;
#[cfg(test)]
mod attack_tests;
pub mod blocking;
pub mod children;
pub mod compiler_process;
pub mod fault;
pub mod file_clock;
pub mod file_state;
pub mod interrupt;
pub mod machine;
pub mod oom;
pub mod open_path;
pub mod path_access;
pub mod poll;
pub mod private_dir;
pub mod process;
pub mod read_ahead;
pub mod read_only_map;
pub mod running_time;
pub mod seccomp;
pub mod self_exe;
pub mod sparse;
mod waker;
pub mod window;

pub use waker::Waker;
pub use wrun_ipc::sys::{memory_file, rlimit, socket};
