//! A job: what to run, and with which settings.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    Admission, Grants, Halt, InputMode, Instances, Limits, OutputFile, Retries, SharedMemory, TaskTime, UnknownImports,
};
use crate::{Input, Module};

/// A module's function, and everything that its tasks share.
///
/// ```no_run
/// use std::time::Duration;
/// use wrun::{Input, Job, Limits, Module};
///
/// let module = Module::from_file("search.wasm")?;
/// let limits = Limits { timeout: Some(Duration::from_secs(10).into()), ..Limits::default() };
/// let job = Job::new(&module).call("nearest").input("table", Input::open("table.f32")?).limits(limits);
/// // Settings without a method are fields.
/// let job = Job { seed: 42, ..job };
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Job {
    /// The module that holds the task function.
    pub module: Module,
    /// The name of the task function; `None` for the only one.
    pub call: Option<String>,
    /// The arguments of a WASI program (argv without argv\[0\]), in which `{}` stands for the item; `None` for the item alone, or, if the
    /// function takes numbers, for these. A command sees them, and every other function that asks WASI for them.
    pub argv: Option<Vec<String>>,
    /// The exit codes with which a WASI program passes: 0 unless set, 10 and 20 for a SAT solver, for example. A task that is no command
    /// passes with the result that it has written before it exits, and only if codes are set.
    pub ok_exit_codes: Vec<u8>,
    /// Inputs that all tasks share, by name, in order. A WASI program finds them as the files `/in/NAME`.
    pub inputs: Vec<(String, Input)>,
    /// What tasks may do with all their inputs.
    pub input_mode: InputMode,
    /// The file with an output slice for each task.
    pub out: Option<OutputFile>,
    /// Memory that all tasks share and can write, by name, in order.
    pub shared: Vec<(String, SharedMemory)>,
    /// The limits of each task.
    pub limits: Limits,
    /// Whether instances are fresh or reused.
    pub instances: Instances,
    /// What tasks can reach outside of their sandbox.
    pub grants: Grants,
    /// Whether a trap produces a core dump ([`TaskError::core_dump`](crate::TaskError::core_dump)).
    pub core_dumps: bool,
    /// The seed of random numbers (0 unless set). Those of a task follow from the seed and the task's position.
    pub seed: u64,
    /// The time at which the clock of each task starts, unless tasks see the real time: 2000-01-01T00:00:00Z unless set.
    /// A task's time is virtual: it moves by a microsecond with each look at it, and by exactly the time that the task sleeps, which
    /// takes no real time. So it follows from module and input alone.
    pub clock_start: SystemTime,
    /// How often a failed task is retried.
    pub retries: Retries,
    /// Whether failed tasks end the run early.
    pub halt: Halt,
    /// When tasks may start (always unless set).
    pub admission: Admission,
    /// The time after which a running task is reported as slow ([`Event::Slow`](crate::Event::Slow)), and again each time it has
    /// doubled.
    pub slow: Option<TaskTime>,
    /// What happens to functions that the module imports and wrun does not know.
    pub unknown_imports: UnknownImports,
}

/// When the clock of tasks starts: 2000-01-01T00:00:00Z, which formats can name that cannot name the time before 1980, such as ZIP.
const CLOCK_START: Duration = Duration::from_secs(946_684_800);

impl Job {
    /// Creates a job that calls the only task function of `module`, with default settings.
    pub fn new(module: &Module) -> Self {
        Job {
            module: module.clone(),
            call: None,
            argv: None,
            ok_exit_codes: vec![0],
            inputs: Vec::new(),
            input_mode: InputMode::default(),
            out: None,
            shared: Vec::new(),
            limits: Limits::default(),
            instances: Instances::Fresh,
            grants: Grants::default(),
            core_dumps: false,
            seed: 0,
            clock_start: UNIX_EPOCH + CLOCK_START,
            retries: Retries::default(),
            halt: Halt::Never,
            admission: Admission::default(),
            slow: None,
            unknown_imports: UnknownImports::Refuse,
        }
    }

    /// Sets the name of the task function.
    #[must_use]
    pub fn call(mut self, name: impl Into<String>) -> Self {
        self.call = Some(name.into());
        self
    }

    /// Sets the exit codes with which a WASI program passes, from 0 to 125.
    #[must_use]
    pub fn ok_exit_codes(mut self, codes: impl Into<Vec<u8>>) -> Self {
        self.ok_exit_codes = codes.into();
        self
    }

    /// Adds an input that all tasks see under `name`.
    #[must_use]
    pub fn input(mut self, name: impl Into<String>, input: Input) -> Self {
        self.inputs.push((name.into(), input));
        self
    }

    /// Sets what tasks may do with their inputs.
    #[must_use]
    pub fn input_mode(mut self, mode: InputMode) -> Self {
        self.input_mode = mode;
        self
    }

    /// Gives each task an output slice of this file.
    #[must_use]
    pub fn out(mut self, out: OutputFile) -> Self {
        self.out = Some(out);
        self
    }

    /// Adds memory that all tasks can write, under `name`.
    #[must_use]
    pub fn shared(mut self, name: impl Into<String>, memory: SharedMemory) -> Self {
        self.shared.push((name.into(), memory));
        self
    }

    /// Sets the limits of each task.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how often failed tasks are retried.
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.retries = retries;
        self
    }

    /// Sets whether failed tasks end the run early.
    #[must_use]
    pub fn halt(mut self, halt: Halt) -> Self {
        self.halt = halt;
        self
    }

    /// Sets what the machine must have to spare before a task starts.
    #[must_use]
    pub fn admission(mut self, admission: Admission) -> Self {
        self.admission = admission;
        self
    }

    /// Sets what becomes of functions that the module imports and wrun does not know.
    #[must_use]
    pub fn unknown_imports(mut self, unknown: UnknownImports) -> Self {
        self.unknown_imports = unknown;
        self
    }

    /// Sets what tasks can reach outside of their sandbox.
    #[must_use]
    pub fn grants(mut self, grants: Grants) -> Self {
        self.grants = grants;
        self
    }

    /// Lets each worker keep one instance, instead of creating one for every task.
    #[must_use]
    pub fn reuse(mut self) -> Self {
        self.instances = Instances::Reused;
        self
    }
}
