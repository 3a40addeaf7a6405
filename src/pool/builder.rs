//! Settings of a pool, and a worker that starts before they are known.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::crew::Crew;
use super::inline::Inline;
use super::{Pool, Runner};
use crate::backend::{AnyBackend, Backend, BuiltIn, Choice, Waker};
use crate::cache::ResultCache;
use crate::sys::self_exe::self_exe;
use crate::{Error, Jobs, Result, Sandbox};

/// Settings of a [`Pool`].
///
/// ```no_run
/// use std::time::Duration;
/// use wrun::{Jobs, Pool, Sandbox};
///
/// wrun::init();
/// let builder = Pool::builder().workers(Jobs::new(-2)?.workers()).sandbox(Sandbox::Strict);
/// let pool = builder.idle_timeout(Duration::from_secs(60)).build()?;
/// # Ok::<(), wrun::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PoolBuilder {
    backend: AnyBackend,
    workers: Option<NonZeroUsize>,
    worker_exe: Option<PathBuf>,
    sandbox: Sandbox,
    start_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    cache: Option<ResultCache>,
}

impl PoolBuilder {
    /// The largest number of workers of a pool.
    pub const MAX_WORKERS: usize = Jobs::MAX;

    /// The default of [`PoolBuilder::start_timeout`]. A worker starts within milliseconds unless the machine is overloaded.
    pub const START_TIMEOUT: Duration = Duration::from_secs(30);

    /// Returns the settings of the environment, like those of the command: `WRUN_JOBS`, `WRUN_BACKEND`, `WRUN_SANDBOX`. What is set
    /// on the builder takes precedence.
    ///
    /// # Errors
    ///
    /// Returns an error if one of these variables has an invalid value.
    pub fn from_env() -> Result<PoolBuilder> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<PoolBuilder> {
        fn value<T>(name: &str, value: Option<OsString>, parse: impl Fn(&str) -> Result<T>) -> Result<Option<T>> {
            let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
            let value = value.to_string_lossy();
            parse(&value).map(Some).map_err(|error| Error::request(format!("{name}={value}: {error}")))
        }
        let sandbox =
            |word: &str| Sandbox::from_word(word).ok_or_else(|| Error::request("give default, strict or off"));
        let (backend, jobs, confined) = ("WRUN_BACKEND", "WRUN_JOBS", "WRUN_SANDBOX");
        let backend: BuiltIn = value(backend, variable(backend), str::parse)?.unwrap_or_default();
        Ok(PoolBuilder {
            backend: backend.into(),
            workers: value(jobs, variable(jobs), str::parse)?.map(Jobs::workers),
            sandbox: value(confined, variable(confined), sandbox)?.unwrap_or_default(),
            ..PoolBuilder::default()
        })
    }

    /// Sets where tasks run: on one of the [`BuiltIn`] backends ([`BuiltIn::Processes`] unless set), or on any [`Backend`].
    ///
    /// Settings of workers concern only the built-in backends. [`PoolBuilder::build`] refuses them for another [`Backend`], which has
    /// settings of its own.
    ///
    /// ```no_run
    /// use wrun::{Pool, backend::BuiltIn};
    ///
    /// wrun::init();
    /// let threads = Pool::builder().backend(BuiltIn::Threads).build()?;
    /// // A pool is a backend, too.
    /// let outer = Pool::builder().backend(threads).build()?;
    /// # Ok::<(), wrun::Error>(())
    /// ```
    pub fn backend(mut self, backend: impl Into<AnyBackend>) -> Self {
        self.backend = backend.into();
        self
    }

    /// Sets the number of workers. Unless set, it is the number of CPUs that this process may use (by its affinity and its control
    /// group's quota). [`BuiltIn::Inline`] always runs one task at a time.
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the `wrun` executable that worker processes run, for programs that do not call [`crate::init`].
    pub fn worker_exe(mut self, path: impl Into<PathBuf>) -> Self {
        self.worker_exe = Some(path.into());
        self
    }

    /// Sets how strictly the system must confine workers.
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// Sets how long a worker process may take from its start until it is ready for its first job
    /// ([`PoolBuilder::START_TIMEOUT`] unless set). A worker that takes longer is killed, and replaced like one that died.
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Ends worker processes after this time without a run. Unless set, they live as long as the pool. The next run starts new ones.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Keeps results in `cache`, and does not run a task again if its result is there. [`ResultCache`] describes what that covers.
    /// With a [`Backend`] of another crate, its results are taken to be the module's.
    pub fn cache(mut self, cache: ResultCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Creates the pool. Workers start when there is work for them.
    ///
    /// # Errors
    ///
    /// Returns an error if the backend cannot keep one of the settings, if there is no executable for workers, or if the system
    /// refuses what a pool needs.
    pub fn build(mut self) -> Result<Pool> {
        match std::mem::take(&mut self.backend) {
            AnyBackend(Choice::BuiltIn(backend)) => self.build_on(backend),
            AnyBackend(Choice::Other(backend)) => {
                self.refuse_settings_of_workers(backend.name())?;
                self.with_backend(backend)
            }
        }
    }

    fn build_on(self, backend: BuiltIn) -> Result<Pool> {
        let workers = self.worker_count()?;
        if self.sandbox == Sandbox::Strict && backend != BuiltIn::Processes {
            let backend = backend.name();
            return Err(Error::request(format!(
                "the backend {backend} cannot keep a strict sandbox, because the system confines only processes"
            )));
        }
        match backend {
            BuiltIn::Processes => self.with_crew(workers, Some(self.exe()?), self.sandbox),
            BuiltIn::Threads => self.with_crew(workers, None, Sandbox::Off),
            BuiltIn::Inline => self.with_backend(Box::new(Inline)),
        }
    }

    /// Refuses what a backend of another crate would ignore.
    fn refuse_settings_of_workers(&self, backend: &str) -> Result<()> {
        let settings = [
            ("workers", self.workers.is_some()),
            ("worker_exe", self.worker_exe.is_some()),
            ("sandbox", self.sandbox != Sandbox::default()),
            ("start_timeout", self.start_timeout.is_some()),
            ("idle_timeout", self.idle_timeout.is_some()),
        ];
        match settings.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((setting, _)) => Err(Error::request(format!(
                "the backend {backend} cannot keep the setting {setting}, which is for built-in backends: leave it out, and configure \
                 the backend itself"
            ))),
        }
    }

    fn with_backend(self, backend: Box<dyn Backend>) -> Result<Pool> {
        let waker = Waker::new().map_err(|error| Error::system("cannot make a pool", error))?;
        Ok(Pool { runner: Runner::Backend { backend, waker }, cache: self.cache })
    }

    fn with_crew(&self, workers: NonZeroUsize, exe: Option<PathBuf>, sandbox: Sandbox) -> Result<Pool> {
        let start_timeout = self.start_timeout.unwrap_or(PoolBuilder::START_TIMEOUT);
        let crew = Crew::new(workers.get(), exe, sandbox, start_timeout, self.idle_timeout);
        let crew = crew.map_err(|error| Error::system("cannot make a pool", error))?;
        Ok(Pool { runner: Runner::Crew(Box::new(crew)), cache: self.cache.clone() })
    }

    /// Creates the pool around a worker that has already been started. Backends other than [`BuiltIn::Processes`] do not use it.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`PoolBuilder::build`], and one if the worker runs another executable than the pool's.
    pub fn build_with(self, early: EarlyWorker) -> Result<Pool> {
        if !matches!(self.backend, AnyBackend(Choice::BuiltIn(BuiltIn::Processes))) {
            return self.build();
        }
        let exe = self.exe()?;
        if exe != early.exe {
            let early = early.exe.display();
            return Err(Error::request(format!(
                "the pool's workers run {}, but the early worker runs {early}",
                exe.display()
            )));
        }
        let mut crew = early.crew;
        let start_timeout = self.start_timeout.unwrap_or(PoolBuilder::START_TIMEOUT);
        crew.set_up(self.worker_count()?.get(), self.sandbox, start_timeout, self.idle_timeout);
        Ok(Pool { runner: Runner::Crew(Box::new(crew)), cache: self.cache })
    }

    /// Starts a worker process before it is known what it will run: while a program reads its arguments, opens its files and
    /// loads its module. The first result then comes sooner. Only [`PoolBuilder::worker_exe`] is used. This does not wait: if the
    /// process cannot be started, the pool reports that when there is work for it.
    ///
    /// ```no_run
    /// use wrun::{Job, Module, Pool};
    ///
    /// wrun::init();
    /// let early = Pool::builder().early_worker()?;
    /// let module = Module::from_file("sqrt.wat")?;
    /// let mut pool = Pool::builder().build_with(early)?;
    /// println!("{:?}", pool.run(&Job::new(&module), 2)?.result);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if there is no executable for workers, or if the system refuses what a pool needs.
    pub fn early_worker(self) -> Result<EarlyWorker> {
        let exe = self.exe()?;
        let crew = Crew::new(1, Some(exe.clone()), Sandbox::default(), PoolBuilder::START_TIMEOUT, None);
        let mut crew = crew.map_err(|error| Error::system("cannot make a pool", error))?;
        crew.start_early().map_err(|error| Error::system("cannot start a worker", error))?;
        // Otherwise the keeper's new thread may have to wait for this one's processor.
        std::thread::yield_now();
        Ok(EarlyWorker { crew, exe })
    }

    fn exe(&self) -> Result<PathBuf> {
        self.worker_exe.clone().or_else(self_exe).ok_or_else(|| {
            Error::request(
                "no executable for workers: call wrun::init() first in main, or set PoolBuilder::worker_exe to a wrun executable",
            )
        })
    }

    fn worker_count(&self) -> Result<NonZeroUsize> {
        let workers = match self.workers {
            Some(workers) => workers,
            None => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        };
        if workers.get() > Self::MAX_WORKERS {
            return Err(Error::request(format!(
                "{workers} workers are too many: a pool has at most {}",
                Self::MAX_WORKERS
            )));
        }
        Ok(workers)
    }
}

/// A worker process that waits for a pool; see [`PoolBuilder::early_worker`]. It ends when this is dropped.
#[derive(Debug)]
#[must_use = "the worker ends when this is dropped: pass it to `PoolBuilder::build_with`"]
pub struct EarlyWorker {
    /// A crew of this worker alone.
    crew: Crew,
    exe: PathBuf,
}

impl EarlyWorker {
    /// Its process id, once it runs.
    pub fn pid(&mut self) -> Option<u32> {
        self.crew.early_pid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn built_in(builder: &PoolBuilder) -> BuiltIn {
        match builder.backend.0 {
            Choice::BuiltIn(backend) => backend,
            Choice::Other(ref backend) => panic!("{backend:?}"),
        }
    }

    #[test]
    fn settings_take_precedence_over_variables() {
        let from = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            PoolBuilder::from_variables(find)
        };
        let builder = from(&[("WRUN_JOBS", "3"), ("WRUN_BACKEND", "threads"), ("WRUN_SANDBOX", "off")]).unwrap();
        assert_eq!((builder.workers, built_in(&builder)), (NonZeroUsize::new(3), BuiltIn::Threads));
        assert_eq!(builder.sandbox, Sandbox::Off);
        let builder = builder.workers(NonZeroUsize::MIN).backend(BuiltIn::Inline);
        assert_eq!((builder.workers, built_in(&builder)), (NonZeroUsize::new(1), BuiltIn::Inline));
        let unset = from(&[("WRUN_JOBS", "")]).unwrap();
        assert_eq!((unset.workers, built_in(&unset), unset.sandbox), (None, BuiltIn::Processes, Sandbox::Default));
        for (name, value) in [("WRUN_JOBS", "0"), ("WRUN_BACKEND", "cluster"), ("WRUN_SANDBOX", "no")] {
            let error = from(&[(name, value)]).unwrap_err();
            assert!(
                error.kind() == ErrorKind::Request && error.to_string().starts_with(&format!("{name}={value}: ")),
                "{error}"
            );
        }
    }
}
