//! What a store knows of the task that runs in it.

use std::fs::File;
use std::sync::Arc;

use wasmtime::Memory;

use super::argument::GuestArgument;
use super::file_range::Access;
use super::files::GuestInput;
use super::job::LoadedJob;
use super::limits::Usage;
use super::refusals::Refused;
use super::result::Log;
use super::wasi::Wasi;
use super::window::{Dirty, Windows};
use crate::ipc::wire::{Mapped, WindowBytes};

/// The data of a store.
pub(super) struct State {
    pub job: Arc<LoadedJob>,
    /// Position of the item in the job.
    pub index: u64,
    pub argument: GuestArgument,
    /// The inputs of this task alone, which come before the job's.
    pub own_inputs: Vec<GuestInput>,
    /// Whether the task merges results: then inputs that tasks share are not counted, and found by name alone.
    pub merges: bool,
    /// The slice that this task alone may write; a merge has none.
    pub slice: Option<GuestInput>,
    pub output: Vec<u8>,
    pub output_file: Option<(File, u64)>,
    /// The error message that the task set.
    pub failure: Option<String>,
    pub log: Log,
    pub usage: Usage,
    pub windows: Windows,
    /// What its windows took so far.
    pub window_bytes: WindowBytes,
    /// The memory exported as `memory`, once the instance exists.
    pub memory: Option<Memory>,
    pub wasi: Option<Wasi>,
    /// The first thing that the task asked for and may not have.
    pub refused: Option<Refused>,
}

impl State {
    pub fn new(job: Arc<LoadedJob>) -> Self {
        let dirty = Arc::new(Dirty::default());
        State {
            index: 0,
            argument: GuestArgument::default(),
            own_inputs: Vec::new(),
            merges: false,
            slice: None,
            output: Vec::new(),
            output_file: None,
            failure: None,
            log: Log::default(),
            usage: Usage::new(job.spec.memory_bytes, dirty.clone()),
            windows: Windows::new(dirty),
            window_bytes: WindowBytes::default(),
            memory: None,
            wasi: None,
            refused: None,
            job,
        }
    }

    /// The inputs that the task sees by position.
    pub fn input_count(&self) -> usize {
        self.own_inputs.len() + if self.merges { 0 } else { self.job.inputs.len() }
    }

    /// The input with that index.
    pub fn input(&self, index: usize) -> Option<&GuestInput> {
        match index.checked_sub(self.own_inputs.len()) {
            None => self.own_inputs.get(index),
            Some(shared) => self.job.inputs.get(shared),
        }
    }

    /// How many regions the task has.
    pub fn region_count(&self) -> usize {
        usize::from(self.slice.is_some()) + self.job.areas.len()
    }

    /// The region with that index.
    pub fn region(&self, index: usize) -> Option<&GuestInput> {
        match (&self.slice, index.checked_sub(usize::from(self.slice.is_some()))) {
            (slice, None) => slice.as_ref(),
            (_, Some(area)) => self.job.areas.get(area),
        }
    }

    /// The range of a file behind what a window shows.
    pub fn mapped(&self, of: Mapped) -> Option<&GuestInput> {
        match of {
            Mapped::Input(index) => self.input(index as usize),
            Mapped::Region(index) => self.region(index as usize),
        }
    }

    /// What the task may do in windows on that.
    pub fn access(&self, of: Mapped) -> Access {
        match (of, &self.slice) {
            (Mapped::Input(_), _) if self.job.spec.copy_on_write => Access::CopyOnWrite,
            (Mapped::Input(_), _) => Access::ReadOnly,
            (Mapped::Region(wrun_abi::SLICE), Some(GuestInput { offset, len, .. })) => {
                Access::Slice { start: *offset, end: offset + len }
            }
            (Mapped::Region(_), _) => Access::Area,
        }
    }

    /// The bytes of result that the task may still write.
    pub fn output_room(&self) -> u64 {
        let written = self.output_file.as_ref().map_or(self.output.len() as u64, |(_, len)| *len);
        self.job.spec.output_bytes.saturating_sub(written)
    }
}
