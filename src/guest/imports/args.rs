//! The arguments of a WASI program: WASI's `args_sizes_get` and `args_get`.
//!
//! They are made when a task asks for them: most tasks that are no commands never do, and an item may be long.
//!
//! Source: WASI preview 1 (wasi_snapshot_preview1.witx).

use wasmtime::{Result, format_err};
use wiggle::{GuestMemory, GuestPtr};

use super::grow::Guest;
use super::map::memory;
use super::wasi::errno;
use crate::guest::argv::argv;
use crate::guest::phase::OfTask;

/// Writes the number of arguments to `count`, and the bytes that they need with a NUL after each to `bytes`.
pub(super) fn args_sizes_get(mut guest: Guest<'_>, count: u32, bytes: u32) -> Result<i32> {
    let words = take_words(&mut guest)?;
    let number = |number: usize| u32::try_from(number).map_err(|_| format_err!("the arguments are too long"));
    let memory = memory(&mut guest, "args_sizes_get")?;
    let mut memory = GuestMemory::Unshared(memory.data_mut(&mut guest));
    memory.write(GuestPtr::new(count), number(words.len())?)?;
    memory.write(GuestPtr::new(bytes), number(words.iter().map(|word| word.len() + 1).sum())?)?;
    guest.data_mut().argv = Some(words);
    Ok(errno::SUCCESS)
}

/// Writes the arguments to `buffer`, and their addresses to `addresses`.
pub(super) fn args_get(mut guest: Guest<'_>, addresses: u32, buffer: u32) -> Result<i32> {
    let words = take_words(&mut guest)?;
    let memory = memory(&mut guest, "args_get")?;
    let mut memory = GuestMemory::Unshared(memory.data_mut(&mut guest));
    let (mut address, mut at) = (GuestPtr::<GuestPtr<u8>>::new(addresses), GuestPtr::<u8>::new(buffer));
    for word in &words {
        let len = u32::try_from(word.len())?;
        memory.write(address, at)?;
        memory.copy_from_slice(word.as_bytes(), at.as_array(len))?;
        memory.write(at.add(len)?, 0)?;
        (address, at) = (address.add(1)?, at.add(len)?.add(1)?);
    }
    guest.data_mut().argv = Some(words);
    Ok(errno::SUCCESS)
}

/// The task's words, which are made now unless they were before.
fn take_words(guest: &mut Guest<'_>) -> Result<Vec<String>> {
    let state = guest.data_mut();
    state.only_in_task("args_get", OfTask::Argument)?;
    // As before any other call that writes to the guest's memory.
    state.windows.settle();
    match state.argv.take() {
        Some(words) => Ok(words),
        None => Ok(argv(state)?),
    }
}
