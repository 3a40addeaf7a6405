//! The contract's imports as they are; `wrun_abi::import` says what each does and when it traps.
//!
//! Ordinary tasks never need them. They are public for what the safe API does not cover.

#[link(wasm_import_module = "wrun_v1")]
unsafe extern "C" {
    /// The position of the task's item in the job.
    pub safe fn task_index() -> u64;
    /// The argument's length in bytes.
    pub safe fn arg_len() -> usize;
    /// Copies the argument to `dst`.
    ///
    /// # Safety
    ///
    /// `dst` is valid for writes of [`arg_len`] bytes.
    pub unsafe fn arg_read(dst: *mut u8);
    /// How many inputs the task has.
    pub safe fn input_count() -> u32;
    /// The index of the input with this name, or -1.
    ///
    /// # Safety
    ///
    /// `name` is valid for reads of `len` bytes.
    pub unsafe fn input_find(name: *const u8, len: usize) -> i32;
    /// The length in bytes of what the task may see of an input.
    pub safe fn input_len(input: u32) -> u64;
    /// Whether what `input_map` gives may be written (1) or not (0).
    pub safe fn input_writable() -> u32;
    /// Maps a range of an input and returns its address; safe because the bytes are only reachable through it.
    pub safe fn input_map(input: u32, offset: u64, len: usize) -> *const u8;
    /// Undoes one `input_map` or `region_map`.
    ///
    /// # Safety
    ///
    /// No reference that this map justified is used any more.
    pub unsafe fn input_unmap(address: *const u8);
    /// Appends a copy of these bytes to the result.
    ///
    /// # Safety
    ///
    /// `bytes` is valid for reads of `len` bytes.
    pub unsafe fn output_write(bytes: *const u8, len: usize);
    /// A zeroed area of `len` bytes that becomes the result.
    pub safe fn output_map(len: usize) -> *mut u8;
    /// How many regions the task has.
    pub safe fn region_count() -> u32;
    /// The index of the area with this name, or of the slice where `len` is 0; or -1.
    ///
    /// # Safety
    ///
    /// `name` is valid for reads of `len` bytes.
    pub unsafe fn region_find(name: *const u8, len: usize) -> i32;
    /// The length in bytes of what the task may see of a region.
    pub safe fn region_len(region: u32) -> u64;
    /// Maps a range of a region; other tasks may write there at the same time, so use atomic instructions only.
    pub safe fn region_map(region: u32, offset: u64, len: usize) -> *mut u8;
    /// Sets the error message.
    ///
    /// # Safety
    ///
    /// `text` is valid for reads of `len` bytes.
    pub unsafe fn fail(text: *const u8, len: usize);
    /// Writes a log line.
    ///
    /// # Safety
    ///
    /// `text` is valid for reads of `len` bytes.
    pub unsafe fn log(level: i32, text: *const u8, len: usize);
}

unsafe extern "C" {
    /// The module's constructors, as one function that the linker writes.
    ///
    /// # Safety
    ///
    /// To be called before anything that relies on it, and again only where every constructor bears that.
    pub(super) unsafe fn __wasm_call_ctors();
}
