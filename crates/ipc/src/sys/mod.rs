//! The system calls with which a pool and a worker share memory and send each other messages and files.

pub mod memory_file;
pub mod rlimit;
pub mod shared;
pub mod socket;
