//! Tests of the library and of the real binary; one file per area.

mod memory;
mod support;
