//! The subcommands, and checks that two of them share.

pub mod cache;
mod check_argument;
pub mod compile;
pub mod completions;
pub mod inspect;
pub mod man;
pub mod map;
pub mod new;
pub mod report;
pub mod run;
pub mod snapshot;
