//! The limits of a task.

use std::time::Duration;

use crate::module::engine;

/// A time limit for one attempt of a task, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskTime {
    /// This long.
    After(Duration),
    /// This percentage of the median time of the run's tasks that have passed so far. There is no limit until
    /// [`TaskTime::LEAST_PASSED`] tasks have passed, and it is never shorter than [`TaskTime::SHORTEST`]. The median is exact to
    /// 1 %. If many tasks have passed, it may lag behind by one in 64 of them.
    OfMedian {
        /// 100 stands for the median itself.
        percent: u32,
    },
}

impl TaskTime {
    /// The number of tasks that must pass before there is a median.
    pub const LEAST_PASSED: u64 = 3;

    /// The shortest time that follows from a median. A short task may take this long on a busy machine.
    pub const SHORTEST: Duration = Duration::from_millis(100);

    /// The time that follows from this median; `None` if there is no limit yet.
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

/// The limits of a task. A task that exceeds one ends with the status `timeout` or `limit`.
///
/// ```
/// use std::time::Duration;
/// use wrun::Limits;
///
/// let limits = Limits { timeout: Some(Duration::from_secs(10).into()), memory_bytes: 1 << 30, ..Limits::default() };
/// assert_eq!(limits.output_bytes, 64 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// The wall-clock time of one attempt, from its start; `None` for no limit.
    pub timeout: Option<TaskTime>,
    /// Bytes of linear memory and tables together (256 MiB unless set). Windows do not count, except for what is written to
    /// private ones ([`InputMode::CopyOnWrite`](crate::job::InputMode::CopyOnWrite)).
    pub memory_bytes: u64,
    /// Bytes of a task's result (64 MiB unless set).
    pub output_bytes: u64,
    /// Bytes of stack for wasm frames (1 MiB unless set).
    pub stack_bytes: u64,
    /// Bytes of log lines and standard error that are kept for a task (64 KiB unless set). The rest is dropped, and a last line
    /// reports that.
    pub log_bytes: u64,
    /// Units of fuel, about one per instruction, after which a task stops, at the same instruction in every run; `None` for no
    /// limit. The module must count fuel ([`Compiler::count_fuel`](crate::Compiler::count_fuel)), which makes it slower.
    pub fuel: Option<u64>,
    /// Bytes of a task's argument (64 KiB unless set; at most [`Task::MAX_ARGUMENT_BYTES`](crate::Task::MAX_ARGUMENT_BYTES)).
    pub argument_bytes: u64,
    /// Linear memories of a module (4 unless set).
    pub memories: u32,
    /// Tables of a module (8 unless set).
    pub tables: u32,
    /// Elements of one table (262,144 unless set; at most [`Limits::MAX_TABLE_ELEMENTS`]). An element counts as 8 bytes of memory.
    pub table_elements: u32,
    /// Files and directories that a task may have open at a time by WASI, and events that it may wait for (1,024 unless set).
    pub open_files: u32,
    /// Bytes that one call of WASI, or any call of a component, may take from a task, and random bytes that one may give (128 MiB unless set).
    pub host_call_bytes: u64,
    /// Bytes that a task may keep in its scratch directory, which WASI programs see as `/tmp` (64 MiB unless set). With 0, there is no
    /// such directory.
    pub scratch_bytes: u64,
}

impl Limits {
    /// The largest value of [`Limits::stack_bytes`].
    pub const MAX_STACK_BYTES: u64 = 64 << 20;

    /// The largest value of [`Limits::memories`].
    pub const MAX_MEMORIES: u32 = engine::MAX_MEMORIES;

    /// The largest value of [`Limits::tables`].
    pub const MAX_TABLES: u32 = engine::MAX_TABLES;

    /// The largest value of [`Limits::table_elements`].
    pub const MAX_TABLE_ELEMENTS: u32 = engine::MAX_TABLE_ELEMENTS;

    /// The largest value of [`Limits::open_files`].
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
            table_elements: engine::USUAL_TABLE_ELEMENTS,
            open_files: 1024,
            host_call_bytes: 128 << 20,
            scratch_bytes: 64 << 20,
        }
    }
}
