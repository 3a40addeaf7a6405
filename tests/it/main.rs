//! Tests of the library and of the real binary; one file per area.

mod changed_inputs;
mod cli_errors;
mod cli_failure;
mod cli_joblog;
mod cli_kit;
mod cli_map;
mod cli_map_files;
mod cli_map_report;
mod cli_modules;
mod cli_rerun;
mod cli_run;
mod cli_signals;
mod core_dumps;
mod determinism;
mod dispatch;
mod examples;
mod failure;
mod faults;
mod fuel;
mod grants;
#[path = "../hostile/mod.rs"]
mod hostile;
mod isolation;
mod keys;
mod life_cycle;
mod limit_options;
mod limits;
mod lost_workers;
mod memory;
mod outputs;
mod reduce;
mod sdk;
mod support;
mod tidy;
mod timeouts;
mod windows;
