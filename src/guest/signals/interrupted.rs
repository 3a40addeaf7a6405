//! Finds out where a guest is when its time limit expires, from inside the worker before it is killed.
//!
//! ```text
//! keeper --asks--> main thread --interrupts--> guest's thread: records where it is, and stops
//!                       |  <--------------------------'
//!                       '--names and lines--> keeper, which kills the process
//! ```
//!
//! In the guest's own code, frame pointers lead from function to function. In host code they do not. So the handler makes the module's
//! code non-executable and lets the thread continue until it returns to the guest, which faults, back in code with frame pointers. A
//! host call that does not return soon (a sleep, a `memory.fill` of gigabytes) is interrupted again, and wasmtime, which recorded
//! where the guest left its code, is asked. That allocates memory, which a signal handler must not do: it may hang or crash if
//! it has interrupted an allocation. But the process is condemned. It executes no instruction of the guest any more and is
//! killed after a bounded time whatever happens, so only the stack trace can be lost.
#![expect(unsafe_code, reason = "a signal handler looks at the guest that it has interrupted")]

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use wasmtime::WasmBacktrace;

use super::watched::{Watched, watched};
use crate::guest::stack_trace::{Frame, Symbols};
use crate::ipc::ring::TaskClock;
use crate::ipc::stack_trace::{Detail, StackTrace, StackTraceWriter};
use crate::module::engine::MAX_FRAMES;
use crate::sys::interrupt::{self, Happened, Registers, Thread};

/// How long to wait before interrupting the thread again. A host call that takes longer does not return soon.
const PATIENCE: Duration = Duration::from_millis(10);
/// The most interruptions. The pool does not wait longer either.
const MAX_INTERRUPTIONS: u32 = 9;

/// The thread that runs guests.
static THREAD: OnceLock<Thread> = OnceLock::new();
/// The symbols of the loaded module.
static LOADED: Mutex<Option<Arc<Symbols>>> = Mutex::new(None);

/// Whether the process is about to be killed, so that the guest's code must not run any more. Until then, signals (which others may
/// send) are ignored.
static CONDEMNED: AtomicBool = AtomicBool::new(false);
/// How often the guest was interrupted since then.
static INTERRUPTIONS: AtomicU32 = AtomicU32::new(0);
static RECORD: StopRecord = StopRecord::new();
static RECORDED: Happened = Happened::new();

thread_local! {
    static INSTANTIATING: Cell<bool> = const { Cell::new(false) };
}

/// Registers the calling thread as the one that runs guests, for the lifetime of the process.
pub(crate) fn this_thread_runs_guests() -> std::io::Result<()> {
    THREAD.get_or_init(Thread::current);
    interrupt::on_interrupt(on_interrupt)
}

/// Sets the module whose instances run from now on.
pub(in crate::guest) fn set_loaded(symbols: Arc<Symbols>) {
    if let Ok(mut loaded) = LOADED.lock() {
        *loaded = Some(symbols);
    }
}

/// Marks `make` as a part of instantiation.
pub(in crate::guest) fn while_instantiating<R>(make: impl FnOnce() -> R) -> R {
    INSTANTIATING.set(true);
    let made = make();
    INSTANTIATING.set(false);
    made
}

/// Answers the pool's requests for stack traces until the worker ends. Call it on a thread that runs no guests.
pub(crate) fn answer_questions(writer: &StackTraceWriter, clock: &TaskClock) {
    while let Some(ticket) = writer.next_asked() {
        let runs = || clock.current().is_some_and(|(current, _)| current == ticket);
        let Some(stopped) = stop(runs) else { continue };
        // A thread that was stopped while it was loading a module holds the lock forever.
        let symbols = LOADED.try_lock().ok().and_then(|loaded| loaded.clone());
        let (Some(symbols), true) = (symbols, runs()) else { continue };
        let instantiating = matches!(stopped, Stopped::Instantiating);
        let frames = match stopped {
            Stopped::Pcs(pcs) => symbols.frames_at(&pcs),
            Stopped::Frames(frames) => frames,
            Stopped::Instantiating => Vec::new(),
        };
        if frames.is_empty() {
            // Otherwise it was in code of wasmtime's own, which has no name.
            if instantiating {
                let summary = "while it was being instantiated".to_owned();
                writer.answer(ticket, Detail::All, &StackTrace { summary, frames: String::new() });
            }
            continue;
        }
        symbols.tell(&frames, |detail, trace| {
            let summary = trace.summary().map(|place| format!("in {place}")).unwrap_or_default();
            writer.answer(ticket, detail, &StackTrace { summary, frames: trace.to_string() });
        });
    }
}

/// Interrupts the guest's thread until it has recorded its position, as long as the task `runs`.
fn stop(runs: impl Fn() -> bool) -> Option<Stopped> {
    let thread = THREAD.get()?;
    // The signal that is sent afterwards makes it visible to the handler.
    CONDEMNED.store(true, Ordering::Relaxed);
    for _ in 0..MAX_INTERRUPTIONS {
        if !runs() {
            return None;
        }
        thread.interrupt().ok()?;
        if RECORDED.wait(PATIENCE) {
            return Some(RECORD.read());
        }
    }
    None
}

/// Where a guest was stopped.
enum Stopped {
    /// In its own code: the next instruction and the callers' return addresses.
    Pcs(Vec<usize>),
    /// In a host call.
    Frames(Vec<Frame>),
    /// Before its first instruction.
    Instantiating,
}

/// What the handler writes and the main thread reads.
struct StopRecord {
    /// Writing has begun.
    begun: AtomicBool,
    kind: AtomicU32,
    count: AtomicUsize,
    words: [AtomicU64; MAX_WORDS],
}

/// One more function than is reported shows that there are more, and one address may be wasmtime's own.
const MAX_WORDS: usize = MAX_FRAMES + 2;

const PCS: u32 = 0;
/// Each word has the function's index in its lower half, and in its upper half the offset in the module plus 1, or 0.
const FRAMES: u32 = 1;
const INSTANTIATES: u32 = 2;

impl StopRecord {
    const fn new() -> StopRecord {
        StopRecord {
            begun: AtomicBool::new(false),
            kind: AtomicU32::new(PCS),
            count: AtomicUsize::new(0),
            words: [const { AtomicU64::new(0) }; MAX_WORDS],
        }
    }

    /// Adds a word. Returns whether there is room for another one. [`RECORDED`] makes the words visible.
    fn push(&self, word: u64) -> bool {
        let at = self.count.load(Ordering::Relaxed);
        if let Some(place) = self.words.get(at) {
            place.store(word, Ordering::Relaxed);
            self.count.store(at + 1, Ordering::Relaxed);
        }
        at + 1 < MAX_WORDS
    }

    fn read(&self) -> Stopped {
        let words = self.words.iter().take(self.count.load(Ordering::Relaxed)).map(|word| word.load(Ordering::Relaxed));
        match self.kind.load(Ordering::Relaxed) {
            PCS => Stopped::Pcs(words.map(|word| word as usize).collect()),
            FRAMES => Stopped::Frames(
                words
                    .map(|word| Frame { function: word as u32, offset: ((word >> 32) as u32).checked_sub(1) })
                    .collect(),
            ),
            _ => Stopped::Instantiating,
        }
    }
}

/// Runs on the guest's thread, in a signal handler.
fn on_interrupt(registers: &Registers) {
    if !CONDEMNED.load(Ordering::Relaxed) {
        return;
    }
    watched(|guest| {
        let interruptions = INTERRUPTIONS.fetch_add(1, Ordering::Relaxed);
        if guest.code.contains(&registers.pc) {
            stop_in_code(guest, registers);
        } else if interruptions == 0 {
            // SAFETY: these are the pages of the module's code; instructions of other code do not lie there, and a fault there
            // ends in `on_fault`. If it fails, the next interruption finds the guest where it is.
            let _ = unsafe { interrupt::forbid(&guest.code) };
        } else {
            stop_in_host(guest);
        }
    });
}

/// Stops the guest's thread in its own code when its time is over. Called in the handler of every fault; async-signal-safe.
pub(super) fn on_fault(guest: &Watched, registers: &Registers) {
    if INTERRUPTIONS.load(Ordering::Relaxed) > 0 && guest.code.contains(&registers.pc) {
        stop_in_code(guest, registers);
    }
}

fn stop_in_code(guest: &Watched, registers: &Registers) -> ! {
    if !RECORD.begun.swap(true, Ordering::Relaxed) {
        RECORD.push(registers.pc as u64);
        // SAFETY: these are the registers of this thread, in a handler. The stack is mapped up to where `watch` was called, and
        // the code as long as the store lives.
        unsafe { registers.walk(&guest.code, guest.stack_top, |pc| RECORD.push(pc as u64)) };
        RECORDED.set();
    }
    interrupt::freeze()
}

/// Not async-signal-safe; the module documentation explains why it may be called anyway.
fn stop_in_host(guest: &Watched) {
    if RECORD.begun.load(Ordering::Relaxed) {
        interrupt::freeze();
    }
    // SAFETY: the store lives as long as the guest is watched. This very thread has exclusive access to it, and has stopped in the
    // middle of using it. The fields that are read were set before host code was entered, and the list of modules does not
    // change while a guest runs.
    let trace = WasmBacktrace::force_capture(unsafe { &*guest.store });
    // When a call ends, wasmtime clears where the guest left its code.
    if trace.frames().is_empty() && !INSTANTIATING.get() {
        // The task has ended or has not begun.
        return;
    }
    RECORD.begun.store(true, Ordering::Relaxed);
    RECORD.kind.store(if trace.frames().is_empty() { INSTANTIATES } else { FRAMES }, Ordering::Relaxed);
    for frame in trace.frames().iter().take(MAX_WORDS) {
        let offset = frame.module_offset().map_or(0, |offset| offset as u64 + 1);
        RECORD.push(u64::from(frame.func_index()) | offset << 32);
    }
    RECORDED.set();
    interrupt::freeze()
}
