//! Standard streams that were closed when the command was started stay unusable.
//!
//! Before `main`, Rust's runtime opens /dev/null in place of a closed standard stream, so results that nobody can get would be
//! written without an error. Here, still earlier, /dev/null is opened there the other way round: writing to a standard output that was closed, or reading
//! from a standard input that was closed, fails with `EBADF`, as it does without a runtime (write(2), read(2)).
#![expect(unsafe_code, reason = "a function that runs before main")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, IntoRawFd};

/// Takes the numbers of closed standard streams. A new descriptor gets the lowest free number (open(2)).
extern "C" fn take_closed_streams() {
    while let Ok(reader) = File::open("/dev/null") {
        match reader.as_raw_fd() {
            0 => {
                drop(reader);
                let Ok(writer) = OpenOptions::new().write(true).open("/dev/null") else { return };
                let _ = writer.into_raw_fd();
            }
            1 | 2 => {
                let _ = reader.into_raw_fd();
            }
            _ => return,
        }
    }
}

// SAFETY: the section holds pointers to functions that the C library calls before `main`, and this is one. It needs nothing
// that only `main` sets up.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = take_closed_streams;
