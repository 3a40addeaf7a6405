//! The command: each test runs the real binary and checks its exact output and exit code.

mod arrays;
mod cached;
mod core_dumps;
mod determinism;
mod dry_run;
mod errors;
mod failure;
mod fuel;
mod html_report;
mod inherited;
mod job_control;
mod joblog;
pub mod kit;
pub mod life_cycle;
mod limit_options;
mod map;
mod map_files;
mod map_report;
mod modules;
mod regions;
mod rerun;
mod results_dir;
mod run;
pub mod signals;
mod terminal;
mod trace;
pub mod unread;
