//! Settings of a pool, and a worker that starts before they are known.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::crew::Crew;
use super::inline::Inline;
use super::{Pool, Runner};
use crate::backend::{Backend, BuiltIn};
use crate::sys::self_exe::self_exe;
use crate::{Error, Jobs, Result, ResultCache, Sandbox, Waker};

/// Settings of a [`Pool`].
#[derive(Clone, Debug, Default)]
pub struct PoolBuilder {
    backend: BuiltIn,
    workers: Option<NonZeroUsize>,
    worker_exe: Option<PathBuf>,
    sandbox: Sandbox,
    start_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    cache: Option<ResultCache>,
}

impl PoolBuilder {
    /// The most workers that a pool may have.
    pub const MAX_WORKERS: usize = Jobs::MAX;

    /// How long a worker may take to start, unless set; it takes milliseconds where the machine is not overloaded.
    pub const START_TIMEOUT: Duration = Duration::from_secs(30);

    /// Settings that the environment gives, as the command has them: `WRUN_JOBS`, `WRUN_BACKEND`, `WRUN_SANDBOX`. What is set
    /// on the builder goes before it.
    ///
    /// # Errors
    ///
    /// Where one of these variables has no possible value.
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
        Ok(PoolBuilder {
            backend: value(backend, variable(backend), str::parse)?.unwrap_or_default(),
            workers: value(jobs, variable(jobs), str::parse)?.map(Jobs::workers),
            sandbox: value(confined, variable(confined), sandbox)?.unwrap_or_default(),
            ..PoolBuilder::default()
        })
    }

    /// Sets where tasks run ([`BuiltIn::Processes`] unless set).
    #[must_use]
    pub fn backend(mut self, backend: BuiltIn) -> Self {
        self.backend = backend;
        self
    }

    /// Sets the number of workers; unless set, the CPUs that this process may use (by its affinity and its
    /// control group's quota).
    #[must_use]
    pub fn workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Names a `wrun` executable that workers run, for programs that do not call [`crate::init`].
    #[must_use]
    pub fn worker_exe(mut self, path: impl Into<PathBuf>) -> Self {
        self.worker_exe = Some(path.into());
        self
    }

    /// Sets how much confinement of workers by the system is insisted on.
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// Sets how long a worker process may take from its start until it is ready for its first job
    /// ([`PoolBuilder::START_TIMEOUT`] unless set). One that takes longer is killed, and replaced like one that died.
    #[must_use]
    pub fn start_timeout(mut self, timeout: Duration) -> Self {
        self.start_timeout = Some(timeout);
        self
    }

    /// Lets worker processes end when there was no run for so long; unless set, they live as long as the pool. The next run starts
    /// new ones.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Keeps results in `cache`, and runs no task again whose result is there. [`ResultCache`] says what that covers.
    #[must_use]
    pub fn cache(mut self, cache: ResultCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Makes the pool. Workers start when there is work for them.
    ///
    /// # Errors
    ///
    /// Where there is no executable for workers, or the system refuses what a pool needs.
    pub fn build(self) -> Result<Pool> {
        let workers = self.worker_count()?;
        if self.sandbox == Sandbox::Strict && self.backend != BuiltIn::Processes {
            let backend = self.backend.name();
            return Err(Error::request(format!(
                "the system confines processes only, so a strict sandbox and the backend {backend} exclude each other"
            )));
        }
        match self.backend {
            BuiltIn::Processes => self.with_crew(workers, Some(self.exe()?), self.sandbox),
            BuiltIn::Threads => self.with_crew(workers, None, Sandbox::Off),
            BuiltIn::Inline => self.build_on(Box::new(Inline)),
        }
    }

    /// Makes a pool whose tasks run on another backend; of the settings the cache alone counts, for which the backend's results are the
    /// module's.
    ///
    /// # Errors
    ///
    /// Where the system refuses what a pool needs.
    pub fn build_on(self, backend: Box<dyn Backend>) -> Result<Pool> {
        let waker = Waker::new().map_err(|error| Error::system("cannot make a pool", error))?;
        Ok(Pool { runner: Runner::Backend { backend, waker }, cache: self.cache })
    }

    fn with_crew(&self, workers: NonZeroUsize, exe: Option<PathBuf>, sandbox: Sandbox) -> Result<Pool> {
        let start_timeout = self.start_timeout.unwrap_or(PoolBuilder::START_TIMEOUT);
        let crew = Crew::new(workers.get(), exe, sandbox, start_timeout, self.idle_timeout);
        let crew = crew.map_err(|error| Error::system("cannot make a pool", error))?;
        Ok(Pool { runner: Runner::Crew(Box::new(crew)), cache: self.cache.clone() })
    }

    /// Makes the pool around a worker that has been started already.
    ///
    /// # Errors
    ///
    /// Where there are too many workers, or one is to run another executable.
    pub fn build_with(self, early: EarlyWorker) -> Result<Pool> {
        if self.backend != BuiltIn::Processes {
            return self.build();
        }
        let exe = self.exe()?;
        if exe != early.exe {
            let early = early.exe.display();
            return Err(Error::request(format!(
                "workers are to run {}, and the early one runs {early}",
                exe.display()
            )));
        }
        let mut crew = early.crew;
        let start_timeout = self.start_timeout.unwrap_or(PoolBuilder::START_TIMEOUT);
        crew.set_up(self.worker_count()?.get(), self.sandbox, start_timeout, self.idle_timeout);
        Ok(Pool { runner: Runner::Crew(Box::new(crew)), cache: self.cache })
    }

    /// Starts a worker process before it is known what it will run: while a program reads its arguments, opens its files and
    /// loads its module. The first result then comes sooner. Of the settings, the executable counts. Nothing is waited for:
    /// where the process cannot be started, the pool says so when there is work for it.
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
    /// As [`PoolBuilder::build`].
    pub fn early_worker(self) -> Result<EarlyWorker> {
        let exe = self.exe()?;
        let crew = Crew::new(1, Some(exe.clone()), Sandbox::default(), PoolBuilder::START_TIMEOUT, None);
        let mut crew = crew.map_err(|error| Error::system("cannot make a pool", error))?;
        crew.start_early().map_err(|error| Error::system("cannot start a worker", error))?;
        // A new thread may have to wait for this one's processor, and the keeper's work is what matters now.
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
            return Err(Error::request(format!("{workers} workers are too many: {} are possible", Self::MAX_WORKERS)));
        }
        Ok(workers)
    }
}

/// A worker process that waits for a pool: see [`PoolBuilder::early_worker`]. It ends when this is dropped.
#[derive(Debug)]
pub struct EarlyWorker {
    /// A crew without another worker.
    crew: Crew,
    exe: PathBuf,
}

impl EarlyWorker {
    /// Its process id, as soon as it runs.
    pub fn pid(&mut self) -> Option<u32> {
        self.crew.early_pid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_defaults_and_what_is_set_goes_before_them() {
        let from = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            PoolBuilder::from_variables(find)
        };
        let builder = from(&[("WRUN_JOBS", "3"), ("WRUN_BACKEND", "threads"), ("WRUN_SANDBOX", "off")]).unwrap();
        assert_eq!((builder.workers, builder.backend), (NonZeroUsize::new(3), BuiltIn::Threads));
        assert_eq!(builder.sandbox, Sandbox::Off);
        let builder = builder.workers(NonZeroUsize::MIN).backend(BuiltIn::Inline);
        assert_eq!((builder.workers, builder.backend), (NonZeroUsize::new(1), BuiltIn::Inline));
        let unset = from(&[("WRUN_JOBS", "")]).unwrap();
        assert_eq!((unset.workers, unset.backend, unset.sandbox), (None, BuiltIn::Processes, Sandbox::Default));
        for (name, value) in [("WRUN_JOBS", "0"), ("WRUN_BACKEND", "cluster"), ("WRUN_SANDBOX", "no")] {
            let error = from(&[(name, value)]).unwrap_err();
            assert!(error.is_request() && error.to_string().starts_with(&format!("{name}={value}: ")), "{error}");
        }
    }
}
