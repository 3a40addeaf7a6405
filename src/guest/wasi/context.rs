//! A task's WASI context: only granted capabilities, a clock and random numbers that depend on the task alone, and standard
//! streams that are part of the task (or, for an attached program, the caller's own).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use wasmtime::Result;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView as _};

use super::clock::TaskClock;
use super::listings::Listings;
use super::streams::{Attached, AttachedCalls, Capture, InputReader, OnFull};
use crate::Access;
use crate::guest::open_files::GuestInput;
use crate::ipc::wire::JobSpec;

/// A task's WASI context, and what the task wrote to its standard streams.
pub(in crate::guest) struct Wasi {
    ctx: WasiP1Ctx,
    pub stdout: Capture,
    pub stderr: Capture,
    pub attached: Arc<AttachedCalls>,
    /// The task's own clock, unless it is granted the real one.
    pub clock: Option<TaskClock>,
    pub listings: Listings,
    /// How many entries of the context's table are not the task's: the standard streams, the directories, and temporary ones.
    own_entries: usize,
    /// How many more entries the task may have.
    open_files: usize,
}

impl Wasi {
    /// The context for any call but one that polls.
    pub fn begin_call(&mut self) -> &mut WasiP1Ctx {
        self.attached.begin();
        self.ctx.ctx().table.set_max_capacity(self.own_entries + self.open_files);
        &mut self.ctx
    }

    /// The context for a call of this crate's own, which may take `fuel` bytes over from the guest.
    pub fn begin_own_call(&mut self, fuel: usize) -> &mut WasiP1Ctx {
        let context = self.begin_call();
        context.set_hostcall_fuel(fuel);
        context
    }

    /// The context for a call that polls. Each event takes two entries during the call. (Later, files may take their places as well: a
    /// task that has polled many events at once can have more open files than the limit.)
    pub fn begin_poll(&mut self) -> &mut WasiP1Ctx {
        self.attached.begin();
        let table = self.ctx.ctx().table;
        let entries = table.iter_mut().count();
        table.set_max_capacity(entries + 2 * self.open_files);
        &mut self.ctx
    }
}

/// A directory that tasks may use.
pub(in crate::guest) struct Preopen {
    /// A path to the open directory: a context accepts only paths.
    host_path: String,
    guest_path: String,
    perms: FsPerms,
}

impl Preopen {
    /// A directory that the guest sees as `guest_path`. The descriptor must stay open as long as the process lives.
    pub fn new(guest_path: &str, (directory, access): &(File, Access)) -> Preopen {
        let perms = match access {
            Access::ReadOnly => FsPerms::ReadOnly,
            Access::ReadWrite => FsPerms::ReadWrite,
        };
        let host_path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        Preopen { host_path, guest_path: guest_path.to_owned(), perms }
    }
}

/// What a task's WASI context is made from.
pub(in crate::guest) struct WasiSettings<'a> {
    pub spec: &'a JobSpec,
    /// A component's arguments. Modules get theirs by a function of this crate's own.
    pub args: &'a [String],
    /// The descriptors of an attached program.
    pub stdio: Option<&'a [Arc<File>; 3]>,
    pub preopens: &'a [Preopen],
    /// The task's first own input.
    pub stdin: Option<&'a GuestInput>,
    /// Position of the item in the job.
    pub index: u64,
}

/// Makes the context of a task. It has no arguments: see `imports::args`.
///
/// # Errors
///
/// Returns an error if a directory cannot be opened, for example because too many files are open.
pub(in crate::guest) fn context(settings: &WasiSettings<'_>) -> Result<Wasi> {
    let mut builder = WasiCtxBuilder::new();
    let &WasiSettings { spec, args, stdio, preopens, stdin, index } = settings;
    let stdout = Capture::new(spec.output_bytes, OnFull::Stop);
    let stderr = Capture::new(spec.log_bytes, OnFull::Drop);
    let attached = Arc::new(AttachedCalls::default());
    match stdio {
        Some([stdin, out, err]) => {
            builder.stdin(Attached::new(stdin, &attached));
            builder.stdout(Attached::output(out, &attached)).stderr(Attached::new(err, &attached));
        }
        None => {
            builder.stdout(stdout.clone()).stderr(stderr.clone());
            if let Some(input) = stdin {
                builder.stdin(InputReader::new(input.clone()));
            }
        }
    }
    builder.args(args).envs(&spec.environment).allow_blocking_current_thread(true);
    builder.max_random_size(spec.host_call_bytes);
    if !spec.real_random {
        // A task whose result must be the same in every run cannot have secret numbers.
        let seed = task_seed(spec.seed, index);
        builder
            .secure_random(Xoshiro256PlusPlus::seed_from_u64(seed))
            .insecure_random(Xoshiro256PlusPlus::seed_from_u64(!seed))
            .insecure_random_seed(u128::from(seed));
    }
    let clock = (!spec.real_clock).then(|| TaskClock::new(spec.clock_start_ns));
    if let Some(clock) = &clock {
        builder.wall_clock(clock.clone()).monotonic_clock(clock.clone());
    }
    for Preopen { host_path, guest_path, perms } in preopens {
        builder.preopened_dir(host_path, guest_path, *perms)?;
    }
    let ctx = builder.build_p1();
    let (own_entries, open_files) = (64 + preopens.len(), spec.open_files as usize);
    Ok(Wasi { ctx, stdout, stderr, attached, clock, listings: Listings::default(), own_entries, open_files })
}

/// The seed of a task's random numbers. It differs between tasks with the same job seed, and between job seeds for the same task,
/// because multiplication by an odd number is a bijection.
fn task_seed(seed: u64, index: u64) -> u64 {
    /// 2^64 divided by the golden ratio, which spreads neighbouring seeds.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    seed.wrapping_mul(SPREAD) ^ index
}
