//! Whether an instance's task runs, or the initializer before it.
//!
//! An initializer's work is done once for many tasks, and perhaps in another process than theirs. So it may not see what differs
//! between tasks or between runs.

use wasmtime::{Result, bail};

use super::host_error::{HostError, LimitReached};
use super::state::State;
use crate::ipc::Setting;

/// What runs in an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The module's initializer, or what is called before it.
    Initializer,
    /// A task.
    Task,
}

/// What an initializer may not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OfTask {
    Argument,
    Index,
    Inputs,
    Output,
    Clock,
    Random,
}

impl OfTask {
    fn words(self) -> &'static str {
        match self {
            OfTask::Argument => "has no argument",
            OfTask::Index => "has no index",
            OfTask::Inputs => "has no inputs",
            OfTask::Output => "has no result",
            OfTask::Clock => "may not ask for the time",
            OfTask::Random => "may not use random numbers",
        }
    }
}

impl State {
    /// Refuses a call of an initializer that only a task may make.
    ///
    /// # Errors
    ///
    /// Returns the trap that names the call, unless a task runs.
    pub fn only_in_task(&self, call: &str, what: OfTask) -> Result<()> {
        match self.phase {
            Phase::Task => Ok(()),
            Phase::Initializer => bail!("{call}: an initializer runs once for all tasks, so it {}", what.words()),
        }
    }

    /// The same for a call of WASI, after which [`State::only_granted`] has to be asked.
    ///
    /// # Errors
    ///
    /// Like [`State::only_in_task`].
    pub fn allowed_now(&self, call: &str, descriptor: i32) -> Result<()> {
        if self.phase == Phase::Task {
            return Ok(());
        }
        match call {
            "clock_res_get" | "clock_time_get" => self.only_in_task(call, OfTask::Clock),
            "random_get" => self.only_in_task(call, OfTask::Random),
            _ if descriptor == STDIN && call.starts_with("fd_") => self.only_in_task(call, OfTask::Inputs),
            _ => Ok(()),
        }
    }

    /// Ends an initializer that looked for a path which no directory of its own has: a task may find a file there.
    ///
    /// # Errors
    ///
    /// Returns the trap that names the call.
    pub fn only_granted(&self, call: &str) -> Result<()> {
        let has_missed = || self.wasi.as_ref().is_some_and(|wasi| wasi.lookups.last_failed());
        if self.phase == Phase::Initializer && call.starts_with("path_") && has_missed() {
            let message = format!("{call}: the initializer was granted no directory with this path");
            return Err(HostError::Denied(LimitReached::of(Setting::InitializerDirectories, message)).into());
        }
        Ok(())
    }
}

/// Standard input, which is a task's first input.
const STDIN: i32 = 0;
