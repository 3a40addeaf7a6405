//! Where everything is in the memory that a pool and a worker share.

use crate::wire::{DONE_SLOT_WORDS, TASK_SLOT_WORDS};

/// The longest stack trace, in bytes of text.
pub const MAX_STACK_TRACE_BYTES: usize = 8 << 10;

/// The size of the area for the texts, in bytes: one text for each [`Detail`](crate::stack_trace::Detail).
pub const STACK_TRACE_AREA_BYTES: usize = 2 * MAX_STACK_TRACE_BYTES;

/// The number of slots in each direction, and so the most tasks that a worker holds.
pub const SLOTS: usize = 1024;

/// The longest argument, and the longest payload of a completion, that travels in the ring; longer ones travel as files.
pub const INLINE_MAX_BYTES: usize = 64 << 10;

/// The size of the area for task payloads, in bytes.
pub const TASK_AREA_BYTES: usize = 512 << 10;

/// The longest payload of a task. Payloads are contiguous; one of half the area's size always fits into an empty area.
pub const MAX_TASK_PAYLOAD_BYTES: usize = TASK_AREA_BYTES / 2;
/// The size of the area for completion payloads, in bytes.
pub const DONE_AREA_BYTES: usize = 1 << 20;

// The header. Words that different sides write are in cache lines of their own (two lines apart, because processors fetch lines in
// pairs).
pub const TASK_TAIL: usize = 0;
pub const TASK_HEAD: usize = 128;
pub const DONE_TAIL: usize = 256;
pub const DONE_HEAD: usize = 384;
pub const WORKER_SLEEPS: usize = 512;
pub const WAKE_AT: usize = 640;
pub const CURRENT: usize = 768;
pub const CURRENT_START: usize = 776;
pub const PEAK_MEMORY: usize = 784;
pub const REFUSED_MEMORY: usize = 792;
pub const WORKER_READY: usize = 896;
/// The words of [`crate::stack_trace`].
pub const STACK_TRACE_WORDS: usize = 1024;

pub const STATES: usize = 4096;
pub const TASK_SLOTS: usize = STATES + SLOTS * 4;
pub const DONE_SLOTS: usize = TASK_SLOTS + SLOTS * TASK_SLOT_WORDS * 8;
pub const TASK_AREA: usize = DONE_SLOTS + SLOTS * DONE_SLOT_WORDS * 8;
pub const DONE_AREA: usize = TASK_AREA + TASK_AREA_BYTES;

/// The texts of [`crate::stack_trace`].
pub const STACK_TRACE_AREA: usize = DONE_AREA + DONE_AREA_BYTES;

/// The size of the whole memory, in bytes.
pub const RING_BYTES: usize = STACK_TRACE_AREA + STACK_TRACE_AREA_BYTES;
