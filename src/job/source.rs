//! Where a run's tasks come from: any iterator, or a source that may have no task for now.

use std::task::Poll;

use super::Task;
use crate::sys::Waker;

/// Provides a run with tasks, one at a time, on the thread that drives the run.
///
/// Every iterator over items that are [`Into<Task>`] is a source. Another source, such as the lines of a pipe, can return
/// [`Poll::Pending`]: the run then delivers results while it waits for the next task.
///
/// ```
/// use std::sync::mpsc::{Receiver, TryRecvError, channel};
/// use std::task::Poll;
/// use wrun::{Source, Task};
/// use wrun::backend::Waker;
///
/// /// Items that another thread sends.
/// struct Channel {
///     items: Receiver<String>,
///     /// The sender calls `wake` on this after each item.
///     waker: Option<Waker>,
/// }
///
/// impl Source for Channel {
///     fn attach(&mut self, waker: Waker) {
///         self.waker = Some(waker);
///     }
///
///     fn poll_task(&mut self) -> Poll<Option<Task>> {
///         match self.items.try_recv() {
///             Ok(item) => Poll::Ready(Some(item.into())),
///             Err(TryRecvError::Empty) => Poll::Pending,
///             Err(TryRecvError::Disconnected) => Poll::Ready(None),
///         }
///     }
/// }
///
/// let (sender, items) = channel();
/// let mut source = Channel { items, waker: None };
/// assert!(source.poll_task().is_pending());
/// sender.send("2".to_owned())?;
/// assert!(matches!(source.poll_task(), Poll::Ready(Some(task)) if task.argument == "2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Source {
    /// Called once, before the first task. A source that returned `Pending` calls [`Waker::wake`] when it has a task again.
    fn attach(&mut self, waker: Waker) {
        let _ = waker;
    }

    /// Returns the next task, or `Ready(None)` after the last one.
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
