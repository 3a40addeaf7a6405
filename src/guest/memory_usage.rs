//! Counts a task's memory against its limit.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::host_error::LimitReached;
use super::window::{DirtyPages, WASM_PAGE};
use crate::ipc::Setting;
use crate::ipc::ring::MemoryNotes;

/// Counts the bytes of all memories, tables and heaps of the garbage collector of a task. Mapped pages of windows are not the task's own memory and do not count,
/// except pages that became copies when they were written. The few bytes of a window that are copied do count.
#[derive(Debug)]
pub(super) struct MemoryUsage {
    limit_bytes: u64,
    /// The most elements of a table.
    limit_elements: usize,
    /// Memories, heaps of the garbage collector, and tables. If wasmtime fails to allocate what was allowed, that stays counted, to be safe.
    used_bytes: u64,
    /// Private pages that windows have from the start.
    window_bytes: u64,
    /// Pages of windows that became private when they were written.
    dirty: Arc<DirtyPages>,
    /// The peak of the total.
    peak_bytes: u64,
    /// The total that would have been needed when something was refused.
    refused_bytes: Option<u64>,
    /// The number of elements of a table that was refused because it was too large.
    refused_elements: Option<usize>,
    /// Set while the host grows a memory to make room for a window.
    pub growing_for_window: bool,
    /// Where the peak and refusals are noted while the task runs, for a pool that kills this process.
    notes: Option<MemoryNotes>,
}

/// wasmtime keeps a pointer for each element of a table.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

impl MemoryUsage {
    pub fn new(limit_bytes: u64, limit_elements: u32, dirty: Arc<DirtyPages>, notes: Option<MemoryNotes>) -> Self {
        dirty.reset();
        dirty.allow(limit_bytes);
        MemoryUsage {
            limit_bytes,
            limit_elements: limit_elements as usize,
            used_bytes: 0,
            window_bytes: 0,
            dirty,
            peak_bytes: 0,
            refused_bytes: None,
            refused_elements: None,
            growing_for_window: false,
            notes,
        }
    }

    /// Clears refusals and windows for the next task of a reused instance.
    pub fn start_task(&mut self) {
        self.refused_bytes = None;
        self.refused_elements = None;
        self.window_bytes = 0;
        self.peak_bytes = self.used_bytes;
        self.dirty.reset();
        self.share_rest();
        self.note_peak();
    }

    /// The task's peak memory, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.max(self.total())
    }

    /// The current total, in bytes.
    fn total(&self) -> u64 {
        self.used_bytes.saturating_add(self.window_bytes).saturating_add(self.dirty.bytes())
    }

    /// Lets pages of windows be written up to what is left of the limit.
    fn share_rest(&self) {
        self.dirty.allow(self.limit_bytes.saturating_sub(self.total()));
    }

    /// Records that a write to pages of a window was refused.
    pub fn refuse_write(&mut self) {
        self.refuse(self.total() + WASM_PAGE as u64);
    }

    /// Resets all counts, for a fresh instance.
    pub fn reset(&mut self) {
        let elements = self.limit_elements as u32;
        *self = MemoryUsage::new(self.limit_bytes, elements, self.dirty.clone(), self.notes.take());
    }

    /// The limit that a task was refused memory for; `None` if it was not.
    pub fn limit_reached(&self) -> Option<LimitReached> {
        if let Some(elements) = self.refused_elements {
            let limit = self.limit_elements;
            let message = format!("it needs a table of {elements} elements, and the limit is {limit}");
            return Some(LimitReached::of(Setting::TableElements, message));
        }
        let (wanted, limit) = (self.refused_bytes?, self.limit_bytes);
        let message = format!("it needs {wanted} bytes of memory, and the limit is {limit} bytes");
        Some(LimitReached::of(Setting::Memory, message))
    }

    /// Counts the private pages of a window. Returns whether they are allowed.
    pub fn add_window(&mut self, bytes: u64) -> bool {
        let allowed = self.allows(bytes);
        if allowed {
            self.window_bytes += bytes;
            self.note_peak();
            self.share_rest();
        }
        allowed
    }

    /// Subtracts the private pages of a window that was unmapped.
    pub fn remove_window(&mut self, bytes: u64) {
        self.window_bytes = self.window_bytes.saturating_sub(bytes);
        self.share_rest();
    }

    /// Updates the peak before something is subtracted.
    pub fn note_peak(&mut self) {
        self.peak_bytes = self.peak_bytes();
        if let Some(notes) = &self.notes {
            notes.peak(self.peak_bytes);
        }
    }

    /// What the task would have had with the memory that it was refused last, in bytes; 0 if none was refused.
    pub fn refused_bytes(&self) -> u64 {
        self.refused_bytes.unwrap_or(0)
    }

    /// Notes that the task was refused memory with which it would have had this many bytes.
    fn refuse(&mut self, wanted: u64) {
        self.refused_bytes = Some(wanted);
        if let Some(notes) = &self.notes {
            notes.refused(wanted);
        }
    }

    /// Whether the task may have this many more bytes. If not, that is noted as a refusal.
    pub fn allows(&mut self, bytes: u64) -> bool {
        let wanted = self.total().saturating_add(bytes);
        let allowed = wanted <= self.limit_bytes;
        if !allowed {
            self.refuse(wanted);
        }
        allowed
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, unit_bytes: u64) -> bool {
        // The module's own declaration forbids this, not the limit.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let bytes = (desired.saturating_sub(current) as u64).saturating_mul(unit_bytes);
        let allowed = self.allows(bytes);
        if allowed {
            self.used_bytes += bytes;
            self.note_peak();
            self.share_rest();
        }
        allowed
    }
}

impl ResourceLimiter for MemoryUsage {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.growing_for_window || self.grow(current, desired, maximum, 1))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // `maximum` is the module's own or, if that is larger or not declared, that of wasmtime's pool.
        if desired > self.limit_elements && maximum.is_none_or(|maximum| maximum >= self.limit_elements) {
            self.refused_elements = Some(desired);
            return Ok(false);
        }
        Ok(self.grow(current, desired, maximum, TABLE_ELEMENT_BYTES))
    }
}
