//! WASI's `poll_oneoff`, by which programs sleep. A task without the real clock sleeps in no time: its clock is set forward.
//!
//! Source: `poll_oneoff`, `subscription` and `event` of WASI preview 1 (wasi_snapshot_preview1.witx).

use std::ops::Range;

use wasmtime::component::ResourceTableError;
use wasmtime::{AsContextMut, Result, bail};
use wasmtime_wasi::p1::wasi_snapshot_preview1::poll_oneoff as poll_files;
use wasmtime_wasi::runtime::in_tokio;
use wiggle::GuestMemory;

use super::grow::Guest;
use super::map::{memory, range};
use super::wasi::{begin_call, errno, wasi};
use crate::guest::phase::OfTask;
use crate::guest::wasi::TaskClock;

/// The length of a subscription and of an event, in bytes.
pub(super) const SUBSCRIPTION_BYTES: usize = 48;
pub(super) const EVENT_BYTES: usize = 32;

/// Waits for `count` subscriptions at `subscriptions`, and writes what happened to `events` and its number to `happened`.
pub(super) fn poll_oneoff(
    mut guest: Guest<'_>,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> Result<i32> {
    guest.data().only_in_task("poll_oneoff", OfTask::Clock)?;
    let clock = wasi(guest.data_mut()).clock.clone();
    if let Some(clock) = clock
        && let Some(alarms) = alarms(&read_subscriptions(&mut guest, subscriptions, count)?)
    {
        return sleep(&mut guest, &clock, &alarms, events, happened);
    }
    let fuel = guest.as_context_mut().hostcall_fuel();
    let memory = memory(&mut guest, "poll_oneoff")?;
    let (bytes, state) = memory.data_and_store_mut(&mut guest);
    let wasi = begin_call(state, fuel);
    let mut memory = GuestMemory::Unshared(bytes);
    let [subscriptions, events, count, happened] = [subscriptions, events, count, happened].map(u32::cast_signed);
    in_tokio(poll_files(wasi, &mut memory, subscriptions, events, count, happened))
}

/// A subscription to a clock.
pub(super) struct Alarm {
    user_data: [u8; 8],
    clock: u32,
    timeout_ns: u64,
    /// Whether the timeout is a time of the clock, and not a duration.
    is_absolute: bool,
    /// Whether there are flags that WASI does not know.
    has_other_flags: bool,
}

impl Alarm {
    /// Decodes a subscription; `None` if it is to something else.
    fn decode(bytes: &[u8; SUBSCRIPTION_BYTES]) -> Option<Alarm> {
        const CLOCK: u8 = 0;
        let part = |at: usize| -> [u8; 8] { bytes[at..at + 8].try_into().expect("eight bytes") };
        (bytes[8] == CLOCK).then(|| Alarm {
            user_data: part(0),
            clock: u32::from_le_bytes(bytes[16..20].try_into().expect("four bytes")),
            timeout_ns: u64::from_le_bytes(part(24)),
            is_absolute: bytes[40] & 1 != 0,
            has_other_flags: (bytes[40] & !1, bytes[41]) != (0, 0),
        })
    }

    /// How long it takes until the alarm; `None` if there is no such clock or flag.
    fn due_ns(&self, clock: &TaskClock) -> Option<u64> {
        const REALTIME: u32 = 0;
        const MONOTONIC: u32 = 1;
        let now = match self.clock {
            REALTIME => clock.wall_ns(),
            MONOTONIC => clock.passed_ns(),
            _ => return None,
        };
        (!self.has_other_flags).then_some(if self.is_absolute {
            self.timeout_ns.saturating_sub(now)
        } else {
            self.timeout_ns
        })
    }

    fn event(&self) -> [u8; EVENT_BYTES] {
        let mut event = [0; EVENT_BYTES];
        event[..8].copy_from_slice(&self.user_data);
        event
    }
}

/// The subscriptions, if there are any and all of them are to clocks. Others are ready at once, because files and streams are.
pub(super) fn alarms(subscriptions: &[[u8; SUBSCRIPTION_BYTES]]) -> Option<Vec<Alarm>> {
    let alarms: Option<Vec<Alarm>> = subscriptions.iter().map(Alarm::decode).collect();
    alarms.filter(|alarms| !alarms.is_empty())
}

/// Copies records of `BYTES` bytes each: subscriptions of preview 1 or of the version before.
pub(super) fn read_subscriptions<const BYTES: usize>(
    guest: &mut Guest<'_>,
    address: u32,
    count: u32,
) -> Result<Vec<[u8; BYTES]>> {
    if count > guest.data().job.spec.open_files {
        return Err(ResourceTableError::Full.into());
    }
    let memory = memory(guest, "poll_oneoff")?;
    let bytes = memory.data(&*guest);
    let Some(range) = aligned(8, bytes.len(), address, count as usize * BYTES) else {
        bail!("poll_oneoff({address:#x}, _, {count}, _): the subscriptions do not lie in memory")
    };
    // They may lie in a window of a file that changes meanwhile, so they are only examined once they are copied.
    let copied = guest.data().windows.host_reads(range.clone(), || bytes[range].to_vec());
    Ok(copied.as_chunks::<BYTES>().0.to_vec())
}

/// Sets the clock forward to the first alarm, and reports all alarms that are due then.
pub(super) fn sleep(
    guest: &mut Guest<'_>,
    clock: &TaskClock,
    alarms: &[Alarm],
    events: u32,
    happened: u32,
) -> Result<i32> {
    let due: Option<Vec<u64>> = alarms.iter().map(|alarm| alarm.due_ns(clock)).collect();
    let Some(due) = due else { return Ok(errno::INVAL) };
    let first = due.iter().copied().min().unwrap_or(0);
    let reported: Vec<u8> =
        alarms.iter().zip(&due).filter(|(_, due)| **due <= first).flat_map(|(alarm, _)| alarm.event()).collect();
    report(guest, &reported, events, happened)?;
    clock.sleep(first);
    Ok(errno::SUCCESS)
}

/// Writes events, and how many there are.
pub(super) fn report(guest: &mut Guest<'_>, reported: &[u8], events: u32, happened: u32) -> Result<()> {
    let count = (reported.len() / EVENT_BYTES) as u32;
    let memory = memory(guest, "poll_oneoff")?;
    let (bytes, state) = memory.data_and_store_mut(&mut *guest);
    for (align, address, values) in [(8, events, reported), (4, happened, &count.to_le_bytes()[..])] {
        let Some(range) = aligned(align, bytes.len(), address, values.len()) else {
            bail!("poll_oneoff(_, {events:#x}, _, {happened:#x}): {count} events do not lie in memory")
        };
        state.windows.host_writes(range.clone(), || bytes[range].copy_from_slice(values));
    }
    Ok(())
}

/// The range of `len` bytes at `address`, if it lies in memory; WASI's pointers must be aligned.
fn aligned(align: u32, memory_len: usize, address: u32, len: usize) -> Option<Range<usize>> {
    range(memory_len, address, len).filter(|_| address.is_multiple_of(align))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(kind: u8, clock: u32, timeout_ns: u64, flags: u16) -> [u8; SUBSCRIPTION_BYTES] {
        let mut bytes = [0; SUBSCRIPTION_BYTES];
        bytes[..8].copy_from_slice(&7u64.to_le_bytes());
        bytes[8] = kind;
        bytes[16..20].copy_from_slice(&clock.to_le_bytes());
        bytes[24..32].copy_from_slice(&timeout_ns.to_le_bytes());
        bytes[40..42].copy_from_slice(&flags.to_le_bytes());
        bytes
    }

    #[test]
    fn alarms_are_due_after_a_duration_or_at_a_time() {
        let clock = TaskClock::new(1000);
        clock.sleep(50);
        let due = |id, timeout, flags| {
            Alarm::decode(&subscription(0, id, timeout, flags)).and_then(|alarm| alarm.due_ns(&clock))
        };
        assert_eq!(due(0, 30, 0), Some(30));
        assert_eq!(due(1, 30, 0), Some(30));
        assert_eq!(due(0, 1080, 1), Some(30));
        assert_eq!(due(1, 80, 1), Some(30));
        assert_eq!(due(1, 20, 1), Some(0), "that time has passed");
        assert_eq!(due(1, u64::MAX, 0), Some(u64::MAX));
        assert_eq!([due(2, 30, 0), due(1, 30, 2), due(1, 30, 256)], [None; 3]);
        assert!(Alarm::decode(&subscription(1, 0, 0, 0)).is_none(), "that is a file");
        assert_eq!(
            Alarm::decode(&subscription(0, 0, 0, 0)).map(|alarm| alarm.event()[..9].to_vec()),
            Some(vec![7, 0, 0, 0, 0, 0, 0, 0, 0])
        );
    }
}
