//! Translates addresses in a module's machine code to functions and lines of its source.

mod backtrace;
mod bounded_reader;
mod dwarf_lines;
mod symbols;

pub(super) use symbols::{Frame, Symbols};
