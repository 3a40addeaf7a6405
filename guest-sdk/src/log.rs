//! Log lines, which the host attributes to the task.

use std::fmt;

use crate::Level;
use crate::raw::host;

/// Writes one log line; the macros [`error!`](crate::error!), [`warn!`](crate::warn!), [`info!`](crate::info!),
/// [`debug!`](crate::debug!) and [`trace!`](crate::trace!) are shorter.
pub fn log(level: Level, line: impl fmt::Display) {
    host::log(level as i32, &line.to_string());
}

/// Logs an error in this task's work; takes the same arguments as `format!`.
#[macro_export]
macro_rules! error {
    ($($part:tt)+) => { $crate::log($crate::Level::Error, ::core::format_args!($($part)+)) };
}

/// Logs that something looks wrong; takes the same arguments as `format!`.
#[macro_export]
macro_rules! warn {
    ($($part:tt)+) => { $crate::log($crate::Level::Warn, ::core::format_args!($($part)+)) };
}

/// Logs what users want to see; takes the same arguments as `format!`.
///
/// ```
/// # wrun_guest::TestTask::new().run(|_| {
/// wrun_guest::info!("{} lines skipped", 3);
/// # Ok(()) }).unwrap();
/// ```
#[macro_export]
macro_rules! info {
    ($($part:tt)+) => { $crate::log($crate::Level::Info, ::core::format_args!($($part)+)) };
}

/// Logs what the task's author wants to see; takes the same arguments as `format!`.
#[macro_export]
macro_rules! debug {
    ($($part:tt)+) => { $crate::log($crate::Level::Debug, ::core::format_args!($($part)+)) };
}

/// Logs fine details; takes the same arguments as `format!`.
#[macro_export]
macro_rules! trace {
    ($($part:tt)+) => { $crate::log($crate::Level::Trace, ::core::format_args!($($part)+)) };
}
