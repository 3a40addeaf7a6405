//! How the tasks of a job use instances, inputs and imports.

/// Whether every task gets a fresh instance, or each worker keeps one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instances {
    /// Every task gets a fresh instance: no state carries over.
    #[default]
    Fresh,
    /// Each worker keeps one instance. Calls are far cheaper, but state may carry over from task to task.
    Reused,
}

/// What happens to functions that a module imports and wrun does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownImports {
    /// The job is refused.
    #[default]
    Refuse,
    /// A task that calls one traps, with a message that names it. Memories, tables, globals and tags that nobody provides are refused all
    /// the same, and so are known functions of another type.
    Trap,
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
