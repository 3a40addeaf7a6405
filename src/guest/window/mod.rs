//! Ranges of files in a guest's linear memory; README.md beside this file explains them.

mod area;
mod dirty_pages;
mod fault_record;
mod file_range;
mod host_windows;
mod on_fault;
mod slice_edges;
mod windows;

pub(super) use area::{MapError, RangeEnd, WASM_PAGE};
pub(super) use dirty_pages::DirtyPages;
pub(super) use fault_record::Recorded;
pub(super) use file_range::{FileRange, WindowAccess};
pub(super) use host_windows::HostMemory;
pub(super) use windows::Windows;
