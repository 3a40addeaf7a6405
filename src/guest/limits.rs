//! How much memory a task uses, and what it is refused.

use wasmtime::ResourceLimiter;

/// Counts the bytes of all memories and tables of a task; windows are counted apart.
#[derive(Debug)]
pub(super) struct Usage {
    limit_bytes: u64,
    used_bytes: u64,
    last_growth_bytes: u64,
    /// The total that was asked for when something was refused.
    refused_bytes: Option<u64>,
    /// Set while the host itself grows a memory to put a window there.
    pub growing_for_window: bool,
}

/// wasmtime keeps a pointer for each element of a table.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

impl Usage {
    pub fn new(limit_bytes: u64) -> Self {
        Usage { limit_bytes, used_bytes: 0, last_growth_bytes: 0, refused_bytes: None, growing_for_window: false }
    }

    /// Forgets refusals, for the next task of a reused instance.
    pub fn start_task(&mut self) {
        self.refused_bytes = None;
    }

    /// Forgets everything, for a fresh instance.
    pub fn reset(&mut self) {
        *self = Usage::new(self.limit_bytes);
    }

    /// The limit, where the task was refused memory.
    pub fn refused(&self) -> Option<(u64, u64)> {
        self.refused_bytes.map(|wanted| (wanted, self.limit_bytes))
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let wanted = self.used_bytes.saturating_add(bytes);
        let allowed = wanted <= self.limit_bytes;
        if allowed {
            self.used_bytes = wanted;
            self.last_growth_bytes = bytes;
        } else {
            self.refused_bytes = Some(wanted);
        }
        allowed
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.last_growth_bytes = 0;
        Ok(self.growing_for_window || self.grow((desired - current) as u64))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.used_bytes -= std::mem::take(&mut self.last_growth_bytes);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow((desired - current) as u64 * TABLE_ELEMENT_BYTES))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.used_bytes -= std::mem::take(&mut self.last_growth_bytes);
        Ok(())
    }
}
