//! The contract's imports, unwrapped; `wrun_abi::import` documents what each does and when it traps.
//!
//! Ordinary tasks do not need them. They are public for what the safe API does not cover.

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
    /// The number of inputs that the task has.
    pub safe fn input_count() -> u32;
    /// The index of the input with this name, or -1.
    ///
    /// # Safety
    ///
    /// `name` is valid for reads of `len` bytes.
    pub unsafe fn input_find(name: *const u8, len: usize) -> i32;
    /// The length in bytes of the part of an input that the task can see.
    pub safe fn input_len(input: u32) -> u64;
    /// 1 if windows of inputs may be written, otherwise 0.
    pub safe fn input_writable() -> u32;
    /// Copies a range of an input to `dst`.
    ///
    /// # Safety
    ///
    /// `dst` is valid for writes of `len` bytes.
    pub unsafe fn input_read(input: u32, offset: u64, len: usize, dst: *mut u8);
    /// Maps a range of an input and returns its address; safe, because the bytes can only be accessed through it.
    pub safe fn input_map(input: u32, offset: u64, len: usize) -> *const u8;
    /// Maps a range of an input over whole wasm pages from `dst` on and returns its address.
    ///
    /// # Safety
    ///
    /// These pages are memory of the caller's own, and nothing uses what they hold. Until the window is unmapped, they are not written, given
    /// back to an allocator, or read through a reference that was made before.
    pub unsafe fn input_map_at(input: u32, offset: u64, len: usize, dst: *mut u8) -> *const u8;
    /// Undoes one `input_map`, `input_map_at`, `region_map` or `region_map_at`.
    ///
    /// # Safety
    ///
    /// No reference into the window is used afterwards.
    pub unsafe fn input_unmap(address: *const u8);
    /// Appends a copy of these bytes to the result.
    ///
    /// # Safety
    ///
    /// `bytes` is valid for reads of `len` bytes.
    pub unsafe fn output_write(bytes: *const u8, len: usize);
    /// Returns a buffer of `len` zero bytes that becomes the result.
    pub safe fn output_map(len: usize) -> *mut u8;
    /// The number of regions that the task has.
    pub safe fn region_count() -> u32;
    /// The index of the shared memory with this name, or of the output slice if `len` is 0; or -1.
    ///
    /// # Safety
    ///
    /// `name` is valid for reads of `len` bytes.
    pub unsafe fn region_find(name: *const u8, len: usize) -> i32;
    /// The length in bytes of the part of a region that the task can see.
    pub safe fn region_len(region: u32) -> u64;
    /// Maps a range of a region and returns its address. Other tasks write to shared memory at the same time: access it with
    /// atomic instructions only.
    pub safe fn region_map(region: u32, offset: u64, len: usize) -> *mut u8;
    /// Maps a range of a region over whole wasm pages from `dst` on and returns its address. Access to shared memory is as for `region_map`.
    ///
    /// # Safety
    ///
    /// As for `input_map_at`, except that the window may be written.
    pub unsafe fn region_map_at(region: u32, offset: u64, len: usize, dst: *mut u8) -> *mut u8;
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
    /// Runs the module's constructors; the linker generates this function.
    ///
    /// # Safety
    ///
    /// Call it before anything that relies on constructors, and call it again only if every constructor permits that.
    pub(super) unsafe fn __wasm_call_ctors();
}
