//! Where a run's tasks come from: any iterator, or a source that may have nothing to give for now.

use std::task::Poll;

use super::Task;

use crate::sys::Waker;

/// Gives a run its tasks, one at a time, on the thread that drives the run.
///
/// Every iterator over things that are [`Into<Task>`] is a source. A source of its own kind (lines of a pipe, say) may
/// answer [`Poll::Pending`], so that results go on being delivered while there is no item to start.
pub trait Source {
    /// Takes over the waker, by which a source that answered `Pending` says that it has a task again.
    fn attach(&mut self, waker: Waker) {
        let _ = waker;
    }

    /// The next task; `Ready(None)` at the end, for good.
    fn poll_task(&mut self) -> Poll<Option<Task>>;
}

impl<I> Source for I
where
    I: Iterator,
    I::Item: Into<Task>,
{
    fn poll_task(&mut self) -> Poll<Option<Task>> {
        Poll::Ready(self.next().map(Into::into))
    }
}
