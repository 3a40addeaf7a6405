//! Arguments that are too long for a ring.

use super::dispatcher::Dispatcher;
use crate::Task;
use crate::ipc::ring::INLINE_MAX_BYTES;

impl Dispatcher<'_> {
    /// Puts the argument of a task that will go to a worker where that can map it, if it is too long for a ring; tasks with the same
    /// bytes share that. A task for which the system has no room cannot run.
    pub fn store_argument(&mut self, task: &mut Task) {
        // In the order of how often it decides.
        if task.argument.len() <= INLINE_MAX_BYTES
            || task.argument.len() as u64 > self.job.limits.argument_bytes
            || task.finished.is_some()
            || task.unrunnable.is_some()
        {
            return;
        }
        if let Err(error) = task.argument.store_once(&mut self.arguments) {
            task.unrunnable = Some(format!("its argument of {} bytes cannot be kept: {error:?}", task.argument.len()));
        }
    }
}
