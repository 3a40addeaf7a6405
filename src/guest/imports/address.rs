//! Addresses and lengths in a guest's memory: 32 or 64 bits wide, as its memory.

use std::fmt::{Display, LowerHex};

use wasmtime::WasmTy;

/// An address or a length in memory.
pub(super) trait Address: WasmTy + Copy + Display + LowerHex + 'static {
    /// Its value. Addresses of the host are 64 bits wide.
    fn get(self) -> usize;

    /// The address with this value, which lies in the memory or is a length of something that fits into it.
    fn new(value: usize) -> Self;
}

impl Address for u32 {
    fn get(self) -> usize {
        self as usize
    }

    fn new(value: usize) -> u32 {
        value as u32
    }
}

impl Address for u64 {
    fn get(self) -> usize {
        self as usize
    }

    fn new(value: usize) -> u64 {
        value as u64
    }
}
