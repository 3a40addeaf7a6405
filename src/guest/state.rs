//! What a store knows of the task that runs in it.

use std::sync::Arc;

use wasmtime::Memory;

use super::argument::GuestArgument;
use super::job_context::JobContext;
use super::memory_usage::MemoryUsage;
use super::open_files::GuestInput;
use super::phase::Phase;
use super::task_result::{LogBuffer, MappedOutput};
use super::task_world::HostRegions;
use super::wasi::{Refused, Wasi, WasiSettings};
use super::window::{DirtyPages, WindowAccess, Windows};
use crate::ipc::wire::{Mapped, WindowBytes};

/// The data of a store.
pub(super) struct State {
    pub job: Arc<JobContext>,
    /// Position of the item in the job.
    pub index: u64,
    pub argument: GuestArgument,
    /// The task's own inputs, which precede those of the job.
    pub own_inputs: Vec<GuestInput>,
    /// The number of the function that it calls, in the job.
    pub function: u32,
    /// The arguments of its program, once they have been made.
    pub argv: Option<Vec<String>>,
    /// Whether the task merges results. Its input count then excludes shared inputs, which it finds only by name.
    pub merges: bool,
    /// The task's output slice; a merge has none.
    pub slice: Option<GuestInput>,
    pub output: Vec<u8>,
    pub output_file: Option<MappedOutput>,
    /// The error message that the task set.
    pub failure: Option<String>,
    pub log: LogBuffer,
    pub usage: MemoryUsage,
    pub windows: Windows,
    /// What the host has mapped for a component. Dropped after the windows, which lie there.
    pub host_regions: HostRegions,
    /// Bytes that its windows have mapped and copied so far.
    pub window_bytes: WindowBytes,
    /// The memory exported as `memory`, once the instance exists.
    pub memory: Option<Memory>,
    pub wasi: Option<Wasi>,
    /// The first thing that the task was refused.
    pub refused: Option<Refused>,
    /// Whether the task runs already.
    pub phase: Phase,
}

impl State {
    pub fn new(job: Arc<JobContext>) -> Self {
        let dirty = Arc::new(DirtyPages::default());
        State {
            index: 0,
            argument: GuestArgument::default(),
            own_inputs: Vec::new(),
            function: 0,
            argv: None,
            merges: false,
            slice: None,
            output: Vec::new(),
            output_file: None,
            failure: None,
            log: LogBuffer::default(),
            usage: MemoryUsage::new(
                job.spec.memory_bytes,
                job.spec.table_elements,
                dirty.clone(),
                job.memory_notes.clone(),
            ),
            windows: Windows::new(dirty),
            host_regions: HostRegions::default(),
            window_bytes: WindowBytes::default(),
            memory: None,
            wasi: None,
            refused: None,
            phase: Phase::Task,
            job,
        }
    }

    /// The number of inputs that the task sees by position.
    pub fn input_count(&self) -> usize {
        self.own_inputs.len() + if self.merges { 0 } else { self.job.inputs.len() }
    }

    /// The input with this index.
    pub fn input(&self, index: usize) -> Option<&GuestInput> {
        match index.checked_sub(self.own_inputs.len()) {
            None => self.own_inputs.get(index),
            Some(shared) => self.job.inputs.get(shared),
        }
    }

    /// The number of the task's regions.
    pub fn region_count(&self) -> usize {
        usize::from(self.slice.is_some()) + self.job.shared_memories.len()
    }

    /// The region with this index.
    pub fn region(&self, index: usize) -> Option<&GuestInput> {
        match (&self.slice, index.checked_sub(usize::from(self.slice.is_some()))) {
            (slice, None) => slice.as_ref(),
            (_, Some(index)) => self.job.shared_memories.get(index),
        }
    }

    /// The file range behind an input or a region.
    pub fn mapped(&self, of: Mapped) -> Option<&GuestInput> {
        match of {
            Mapped::Input(index) => self.input(index as usize),
            Mapped::Region(index) => self.region(index as usize),
        }
    }

    /// What the task may do in windows of an input or a region.
    pub fn access(&self, of: Mapped) -> WindowAccess {
        match (of, &self.slice) {
            (Mapped::Input(_), _) if self.job.spec.copy_on_write => WindowAccess::CopyOnWrite,
            (Mapped::Input(_), _) => WindowAccess::ReadOnly,
            (Mapped::Region(wrun_abi::SLICE), Some(GuestInput { offset, len, .. })) => {
                WindowAccess::Slice { start: *offset, end: offset + len }
            }
            (Mapped::Region(_), _) => WindowAccess::Shared,
        }
    }

    /// What the task's WASI context is made from.
    pub fn wasi_settings(&self) -> WasiSettings<'_> {
        let State { job, own_inputs, merges, argument, index, .. } = self;
        let args = self.argv.as_deref().filter(|_| job.spec.component).unwrap_or_default();
        WasiSettings { job, args, own_inputs, merges: *merges, argument, index: *index }
    }

    /// Bytes of output that the task may still write.
    pub fn output_room(&self) -> u64 {
        let written = self.output_file.as_ref().map_or(self.output.len() as u64, |mapped| mapped.len);
        self.job.spec.output_bytes.saturating_sub(written)
    }
}
