//! Copies ranges of files into a guest's memory.

use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use wasmtime::{Memory, Result, bail};

use super::grow::Guest;
use super::map::{truncated, unreadable};
use crate::guest::open_files::GuestInput;
use crate::ipc::wire::Mapped;
use crate::sys::window::is_bad_address;

/// Bytes that are read at a time where the system cannot write to memory itself.
const BUFFER_BYTES: usize = 64 << 10;

/// Reads the bytes of `whole` from `offset` on into this range of the memory.
pub(super) fn read(
    guest: &mut Guest<'_>,
    memory: Memory,
    of: Mapped,
    whole: &GuestInput,
    offset: u64,
    to: Range<usize>,
) -> Result<()> {
    let (bytes, state) = memory.data_and_store_mut(guest);
    let len = to.len();
    let mut buffer = Vec::new();
    let mut done = 0;
    while done < len {
        let rest = to.start + done..to.end;
        let at = whole.offset + offset + done as u64;
        let count = match whole.file.read_at(&mut bytes[rest.clone()], at) {
            // A window lies there. The system reports an error for it, but this must end as every other store there does.
            Err(error) if is_bad_address(&error) => {
                buffer.resize(BUFFER_BYTES, 0);
                let part = &mut buffer[..rest.len().min(BUFFER_BYTES)];
                let count = whole.file.read_at(part, at);
                if let Ok(count) = count {
                    let to = &mut bytes[rest.start..rest.start + count];
                    state.windows.host_writes(rest, || to.copy_from_slice(&part[..count]));
                }
                if state.windows.recorded().is_some() {
                    bail!("the bytes of an input were read into a window")
                }
                count
            }
            count => count,
        };
        match count {
            Ok(0) => return Err(truncated(of, &whole.file)),
            Ok(count) => done += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(unreadable(of, offset + done as u64)),
        }
    }
    state.window_bytes.copied = state.window_bytes.copied.saturating_add(len as u64);
    Ok(())
}
