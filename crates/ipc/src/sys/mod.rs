//! The system calls that a pool and a worker need to share memory and to send each other messages and files.

pub mod memory_file;
pub mod rlimit;
pub mod shared;
pub mod socket;
