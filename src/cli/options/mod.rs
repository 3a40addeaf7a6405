//! Groups of options, one per file, with what each group opens or sets in the library.

pub mod compiler;
pub mod core_dumps;
pub mod failure;
pub mod grants;
pub mod in_place;
pub mod items;
pub mod limits;
pub mod result_cache;
pub mod sandbox;
pub mod task;
pub mod values;
pub mod watching;
pub mod workers;

#[cfg(test)]
mod defaults_tests;
