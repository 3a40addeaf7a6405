//! A task's WASI context: only granted capabilities, a clock and random numbers that depend on the task alone, and standard
//! streams that are part of the task (or, for an attached program, the caller's own).

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use wasmtime::Result;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtxBuilder, WasiCtxView, WasiView as _};

use super::clock::TaskClock;
use super::descriptors::Descriptors;
use super::listings::Listings;
use super::lookups::Lookups;
use super::own_paths::Files;
use super::streams::{Attached, AttachedCalls, Capture, InputReader, OnFull};
use crate::guest::job_context::{JobContext, Preopen};
use crate::guest::open_files::GuestInput;

/// A task's WASI context, and what the task wrote to its standard streams.
pub(in crate::guest) struct Wasi {
    pub(super) ctx: WasiP1Ctx,
    pub stdout: Capture,
    pub stderr: Capture,
    pub attached: Arc<AttachedCalls>,
    /// The task's own clock, unless it is granted the real one.
    pub clock: Option<TaskClock>,
    pub(super) listings: Listings,
    pub(super) descriptors: Descriptors,
    /// The task's own files.
    pub(super) files: Files,
    pub lookups: Lookups,
    /// How many more bytes the current call may take over from the guest.
    pub(super) fuel: u64,
    /// How many entries of the context's table are not the task's: the standard streams, the directories, and temporary ones.
    own_entries: usize,
    /// How many more entries the task may have.
    pub(super) open_files: usize,
}

impl Wasi {
    /// Begins any call.
    pub fn begin_call(&mut self) -> &mut Wasi {
        self.attached.begin();
        self.ctx.ctx().table.set_max_capacity(self.own_entries + self.open_files);
        self
    }

    /// The context, for a call that knows nothing of descriptors.
    pub fn begin_other_call(&mut self) -> &mut WasiP1Ctx {
        self.attached.begin();
        &mut self.ctx
    }

    /// The context, for any call of a component, which knows nothing of the task's own files.
    pub fn begin_component_call(&mut self) -> WasiCtxView<'_> {
        self.begin_call().ctx.ctx()
    }

    /// Whether the task's scratch directory was too small.
    pub fn scratch_is_full(&self) -> bool {
        self.files.is_full()
    }

    /// Makes room in the context for a call that polls. Each event takes two entries during the call.
    pub(super) fn begin_poll(&mut self) {
        let table = self.ctx.ctx().table;
        let entries = table.iter_mut().count();
        table.set_max_capacity(entries + 2 * self.open_files);
    }
}

/// What a task's WASI context is made from.
pub(in crate::guest) struct WasiSettings<'a> {
    pub job: &'a Arc<JobContext>,
    /// A component's arguments. Modules get theirs by a function of this crate's own.
    pub args: &'a [String],
    /// The task's own inputs. The first one is standard input.
    pub own_inputs: &'a [GuestInput],
    /// Whether the task merges results.
    pub merges: bool,
    pub argument: &'a [u8],
    /// Position of the item in the job.
    pub index: u64,
}

/// Makes the context of a task. Modules get their arguments elsewhere: see `imports::args`.
///
/// # Errors
///
/// Returns an error if a directory cannot be opened, for example because too many files are open.
pub(in crate::guest) fn context(settings: &WasiSettings<'_>) -> Result<Wasi> {
    let mut builder = WasiCtxBuilder::new();
    let &WasiSettings { job, args, own_inputs, index, .. } = settings;
    let JobContext { spec, stdio, preopens, .. } = &**job;
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
            if let Some(input) = own_inputs.first() {
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
    let files = Files::new(settings);
    Ok(Wasi {
        ctx,
        stdout,
        stderr,
        attached,
        clock,
        listings: Listings::default(),
        descriptors: Descriptors::new(files.preopens()),
        files,
        lookups: Lookups::default(),
        fuel: 0,
        own_entries: 64 + preopens.len(),
        open_files: spec.open_files as usize,
    })
}

/// The seed of a task's random numbers. It differs between tasks with the same job seed, and between job seeds for the same task,
/// because multiplication by an odd number is a bijection.
fn task_seed(seed: u64, index: u64) -> u64 {
    /// 2^64 divided by the golden ratio, which spreads neighbouring seeds.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    seed.wrapping_mul(SPREAD) ^ index
}
