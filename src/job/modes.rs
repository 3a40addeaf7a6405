//! How the tasks of a job use instances and inputs.

/// Whether every task gets a fresh instance, or each worker keeps one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// Every task gets a fresh instance: no state carries over.
    #[default]
    Fresh,
    /// Each worker keeps one instance. Calls are far cheaper, but state may carry over from task to task.
    Reused,
}

/// What tasks may do with their inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputMode {
    /// Read them.
    #[default]
    ReadOnly,
    /// Also write to their windows. Each window is a private copy, whose pages are copied when they are first written. They count
    /// against [`Limits::memory_bytes`](crate::Limits::memory_bytes), in units of 64 KiB.
    CopyOnWrite,
}
