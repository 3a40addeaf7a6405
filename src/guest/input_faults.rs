//! What a fault in a window, or a file that has become too short, means for the task.

use super::state::State;
use super::window::{RangeEnd, Recorded};
use crate::ipc::wire::{InputFault, InputFaultKind};
use crate::sys::memory_file;

/// The input fault that a recorded fault means; `None` if it is the guest's own mistake or a limit.
pub(super) fn input_fault(state: &State, recorded: Recorded) -> Option<InputFault> {
    let (of, kind) = match recorded {
        Recorded::Unmapped | Recorded::Guard | Recorded::NoMemory | Recorded::MemoryLimit => return None,
        Recorded::Write { of, offset } => (of, InputFaultKind::Write { offset }),
        Recorded::NoPage { of, offset } => {
            let truncated = state.mapped(of).and_then(|range| {
                let file_len = memory_file::len(&range.file).ok()?;
                (file_len < range.offset + range.len).then_some(InputFaultKind::Truncated { file_len })
            });
            (of, truncated.unwrap_or(InputFaultKind::Unreadable { offset }))
        }
    };
    Some(InputFault { of, kind })
}

/// The fault of a file that is now too short for a range that the task has seen. Between the end of a file
/// and the end of its last page, a mapping reads as zeros without any fault.
pub(super) fn truncated(state: &State, RangeEnd { of, offset }: RangeEnd) -> Option<InputFault> {
    let range = state.mapped(of)?;
    if range.immutable {
        return None;
    }
    let file_len = memory_file::len(&range.file).unwrap_or(0);
    (file_len < range.offset + offset).then_some(InputFault { of, kind: InputFaultKind::Truncated { file_len } })
}
