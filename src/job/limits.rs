//! What a task may use before it is stopped.

use std::time::Duration;

/// A length of time for one attempt of a task, from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskTime {
    /// This long.
    After(Duration),
    /// So many percent of the median time of the run's tasks that have passed so far, once [`TaskTime::LEAST_PASSED`] have: until
    /// then it is unlimited. Never shorter than [`TaskTime::SHORTEST`]. The median is exact to 1 %, and where many tasks have
    /// passed it may lag behind by one in 64 of them.
    OfMedian {
        /// 100 is the median itself.
        percent: u32,
    },
}

impl TaskTime {
    /// Tasks that have to pass before there is a median to go by.
    pub const LEAST_PASSED: u64 = 3;

    /// The shortest time that follows from a median: what a busy machine adds to a short task is not the task's fault.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// How long that is where the median is this; `None` where there is none yet.
    pub(crate) fn with_median(self, median: Option<Duration>) -> Option<Duration> {
        match self {
            TaskTime::After(time) => Some(time),
            TaskTime::OfMedian { percent } => {
                let time = median?.as_secs_f64() * f64::from(percent) / 100.0;
                Some(Duration::try_from_secs_f64(time).unwrap_or(Duration::MAX).max(TaskTime::SHORTEST))
            }
        }
    }
}

impl From<Duration> for TaskTime {
    fn from(time: Duration) -> Self {
        TaskTime::After(time)
    }
}

/// What a task may use before it is stopped.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The wall-clock time of one task, from its own start; `None` is no limit.
    pub timeout: Option<TaskTime>,
    /// Bytes of linear memory and tables together, without windows but what is written of them with [`InputMode::CopyOnWrite`] (256 MiB unless set).
    pub memory_bytes: u64,
    /// Bytes of a task's result (64 MiB unless set).
    pub output_bytes: u64,
    /// Bytes of stack for wasm frames (1 MiB unless set).
    pub stack_bytes: u64,
    /// Bytes of log lines and standard error that are kept of a task (64 KiB unless set); more is dropped and said so.
    pub log_bytes: u64,
    /// Units of fuel, about one for each instruction, after which a task stops, at the same place in every run; `None` is no
    /// limit. It takes a module that counts fuel ([`Compiler::count_fuel`](crate::Compiler::count_fuel)), which makes it slower.
    pub fuel: Option<u64>,
    /// Bytes of a task's argument (64 KiB unless set; at most [`Task::MAX_ARGUMENT_BYTES`]).
    pub argument_bytes: u64,
    /// Linear memories of a module (4 unless set).
    pub memories: u32,
    /// Tables of a module (8 unless set).
    pub tables: u32,
    /// Files and directories that a task may have open, and events that it may wait for, at a time by WASI (1,024 unless set).
    pub open_files: u32,
    /// Bytes that one call of WASI takes over from a task (128 MiB unless set).
    pub host_call_bytes: u64,
}

impl Limits {
    /// The most that [`Limits::stack_bytes`] may be.
    pub const MAX_STACK_BYTES: u64 = 64 << 20;

    /// The most that [`Limits::memories`] may be.
    pub const MAX_MEMORIES: u32 = 16;

    /// The most that [`Limits::tables`] may be.
    pub const MAX_TABLES: u32 = 16;

    /// The most that [`Limits::open_files`] may be.
    pub const MAX_OPEN_FILES: u32 = 8192;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            timeout: None,
            memory_bytes: 256 << 20,
            output_bytes: 64 << 20,
            stack_bytes: 1 << 20,
            log_bytes: 64 << 10,
            fuel: None,
            argument_bytes: 64 << 10,
            memories: 4,
            tables: 8,
            open_files: 1024,
            host_call_bytes: 128 << 20,
        }
    }
}
