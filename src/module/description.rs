//! What a module offers and needs, as plain data.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use wrun_abi::PAGE;
use wrun_ipc::entry::{Function, Scalar};

/// What a module offers and needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Description {
    /// Names of the tasks: of a module's exports `wrun:task/NAME`, and of a component's functions `func() -> result<_, string>`.
    pub tasks: Vec<String>,
    /// Exports with only numeric parameters and results.
    pub scalars: Vec<Scalar>,
    /// Exported functions of a component whose parameters and results are plain values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<Function>,
    /// Exported functions of a component that cannot be called by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_callable: Vec<NotCallable>,
    /// Whether it is a component. Its imports and exports are then interfaces.
    pub component: bool,
    /// The WIT of a component, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wit: Option<String>,
    /// Whether it is a WASI command (a module that exports `_start`, or a component that exports `wasi:cli/run`).
    pub command: bool,
    /// Whether it exports `_initialize` (a WASI reactor), to be called once per instance.
    pub initialize: bool,
    /// Whether it imports from `wasi_snapshot_preview1`.
    pub wasi: bool,
    /// Names imported from `wrun_v1`.
    pub wrun_imports: Vec<String>,
    /// All imports.
    pub imports: Vec<Extern>,
    /// All exports.
    pub exports: Vec<Extern>,
    /// The memory exported as `memory`.
    pub memory: Option<Memory>,
    /// How many linear memories it has.
    pub memories: u32,
    /// How many tables it has.
    pub tables: u32,
    /// The elements of its largest table at start.
    pub table_elements: u64,
    /// Whether one of its memories has 64-bit addresses.
    pub large_memories: bool,
    /// The language it was written in, if that has an allocator that takes all memory for its own. Then nothing can be mapped into pages by
    /// which the host grows the memory.
    #[serde(default)]
    pub owns_memory: Option<String>,
    /// Whether it is from a compiler whose allocator is known to use only what `memory.grow` returns to it.
    #[serde(default)]
    pub grows_safely: bool,
    /// The part of the memory exported as `memory` that its data segments fill, in bytes; `None` if that is not known.
    #[serde(default)]
    pub data_segments: Option<Range<u64>>,
    /// Whether it has an initializer: the export `wizer-initialize`, whose work is done once for all instances.
    #[serde(default)]
    pub initializer: bool,
    /// Whether instances begin as its initializer has left them, because this is a snapshot. It is then not called any more.
    #[serde(default)]
    pub snapshot: bool,
}

/// What a module offers and needs, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The module's name for messages: the file's name.
    pub name: String,
    /// What it offers and needs.
    pub description: Description,
}

impl Description {
    /// Whether each instance has to call its initializer.
    pub(crate) fn calls_initializer(&self) -> bool {
        self.initializer && !self.snapshot
    }

    /// Where data segments may lie in the memory exported as `memory`, in bytes: all of its initial size, if that is not known.
    pub(crate) fn initial_data(&self) -> Range<u64> {
        let all = self.memory.as_ref().map_or(0, |memory| memory.minimum.saturating_mul(PAGE));
        self.data_segments.clone().unwrap_or(0..all)
    }
}

/// An exported function of a component that cannot be called by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotCallable {
    /// Its name, as that of a [`Function`].
    pub name: String,
    /// Why. Continues a sentence that begins with the function.
    pub reason: String,
}

/// One import or export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Extern {
    /// The import's module; empty for exports.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// Its name.
    pub name: String,
    /// Its type, as `func (i32 i32) -> (i64)`, `memory 17..`, `global`, `table`.
    pub ty: String,
}

/// A linear memory's limits, in wasm pages of 64 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Memory {
    /// Pages at start.
    pub minimum: u64,
    /// The declared maximum.
    pub maximum: Option<u64>,
    /// 64-bit addresses.
    pub is_64: bool,
    /// Shared between threads. Such a memory cannot hold windows.
    #[serde(default)]
    pub shared: bool,
}

impl Memory {
    /// The most pages that a 32-bit memory can have (4 GiB).
    pub const MAX_PAGES: u64 = 1 << 16;
    /// The most pages that a 64-bit memory can have.
    const MAX_PAGES_64: u64 = 1 << 48;

    /// Pages that can be added to the initial memory, for windows and for the guest's own allocations.
    pub fn room_pages(&self) -> u64 {
        let most = if self.is_64 { Self::MAX_PAGES_64 } else { Self::MAX_PAGES };
        self.maximum.unwrap_or(most).min(most).saturating_sub(self.minimum)
    }
}

/// The text of a function's type in an [`Extern`]: `func (i32 i32) -> (i64)`.
pub(crate) fn func_type<P: fmt::Display, R: fmt::Display>(
    params: impl IntoIterator<Item = P>,
    results: impl IntoIterator<Item = R>,
) -> String {
    let params = params.into_iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ");
    let results = results.into_iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ");
    format!("func ({params}) -> ({results})")
}
