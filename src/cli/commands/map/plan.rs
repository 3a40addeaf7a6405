//! From options to a plan: everything that can be wrong with a `map` is found here, before the first task runs.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use wrun::cache::TaskKeys;
use wrun::job::Instances;
use wrun::module::Entry;
use wrun::{Input, Job, Module, Sandbox};

use super::{MapArgs, ReduceFailed};
use crate::cli::commands::check_argument::check_argument;
use crate::cli::errors::usage;
use crate::cli::items::Items;
use crate::cli::items::resume::LoggedItems;
use crate::cli::items::resume::OpenLog;
use crate::cli::options::core_dumps::CoreDumps;
use crate::cli::options::in_place::InPlaceFiles;
use crate::cli::options::result_cache::ResultCacheArgs;
use crate::cli::options::watching::WatchArgs;
use crate::cli::options::workers::WorkerArgs;
use crate::report::{ItemKind, JobLog, RerunCommand, ResultsDir, RunFiles, RunStart, Settings, copied, line_to_stderr};

/// A `map` that is ready to start: its files are open, its module is compiled, its job is complete.
pub struct MapPlan {
    pub job: Job,
    pub items: LoggedItems,
    /// The number of tasks, as soon as it is known.
    pub total: Rc<Cell<Option<u64>>>,
    /// Why the items ended early, if they did.
    pub item_failure: Rc<RefCell<Option<anyhow::Error>>>,
    /// The task that merges results.
    pub reduce: Option<String>,
    pub reduce_failed: ReduceFailed,
    pub is_unordered: bool,
    pub workers: WorkerArgs,
    pub sandbox: Sandbox,
    pub cache: ResultCacheArgs,
    pub core_dumps: Option<CoreDumps>,
    pub settings: Settings,
    pub outputs: Outputs,
}

/// The files that the run writes as it goes.
pub struct Outputs {
    log: Option<JobLog>,
    module_path: PathBuf,
    watching: WatchArgs,
    results_dir: Option<PathBuf>,
    run_start: RunStart,
    item_kind: ItemKind,
}

/// What is quick to open, and therefore opened before a compilation that may take a while.
struct QuickFiles {
    inputs: Vec<(String, Input)>,
    in_place: InPlaceFiles,
    items: Items,
    log: Option<OpenLog>,
}

impl QuickFiles {
    fn open(args: &MapArgs) -> anyhow::Result<QuickFiles> {
        let is_dry_run = args.watching.dry_run;
        let roles = args.file_roles()?;
        Ok(QuickFiles {
            inputs: args.task.open_inputs()?,
            in_place: if is_dry_run { args.in_place.open_for_dry_run()? } else { args.in_place.open()? },
            items: args.items.open(args.limits.longest_argument()?, roles)?,
            log: if is_dry_run { args.failure.open_log_for_dry_run()? } else { args.failure.open_log()? },
        })
    }
}

impl MapPlan {
    /// Opens the files, compiles the module and completes the job. `run_options` are those that a `run` of one task needs as well.
    ///
    /// # Errors
    ///
    /// If something cannot be opened or compiled, or options do not fit each other or the module.
    pub fn new(args: MapArgs, run_options: Vec<OsString>) -> anyhow::Result<MapPlan> {
        let QuickFiles { inputs, in_place, items, log } = QuickFiles::open(&args)?;
        if args.watching.verbose > 0 {
            let notices = inputs.iter().filter_map(|(_, input)| copied(input));
            notices.for_each(|notice| line_to_stderr(&format!("wrun: {notice}")));
        }
        let sandbox = args.sandbox.sandbox();
        let (progress, unknown) = (args.watching.progress, args.task.unknown_imports());
        let module = args.compiler.load_to_run(&args.module, &args.limits, sandbox, progress, unknown)?;
        let entry = find_entry(&module, &args, &items)?;
        let mut job = new_job(&module, &entry, &args)?;
        job.inputs = inputs;
        in_place.apply(&mut job);
        let core_dumps = args.core_dumps.open(&job.grants)?;
        job.core_dumps = core_dumps.is_some();
        let rerun = rerun_command(&args, &job, run_options, items.kind());
        let settings = new_settings(&args, rerun);
        let (total, item_failure, item_kind) = (items.total(), items.failure(), items.kind());
        let (items, log) = with_log(items, log, &job, args.results.reduce.as_deref())?;
        Ok(MapPlan {
            job,
            items,
            total,
            item_failure,
            reduce: args.results.reduce,
            reduce_failed: args.results.reduce_failed,
            is_unordered: args.results.unordered,
            workers: args.workers,
            sandbox,
            cache: args.cache,
            core_dumps,
            settings,
            outputs: Outputs {
                log,
                module_path: args.module,
                watching: args.watching,
                results_dir: args.results.results,
                run_start: args.failure.run_start(),
                item_kind,
            },
        })
    }
}

impl Outputs {
    /// Opens the files that are not open yet. The job log is: it may have to be read first.
    ///
    /// # Errors
    ///
    /// If a file cannot be created, or the directory for results is not empty.
    pub fn open(self) -> anyhow::Result<RunFiles> {
        let trace = self.watching.open_trace(&self.module_path)?;
        let results = match self.results_dir {
            Some(path) => Some(ResultsDir::open(&path, self.run_start, self.item_kind)?),
            None => None,
        };
        Ok(RunFiles { log: self.log, trace, results })
    }
}

/// Finds the function to call, and checks that the arguments fit it, as far as they are known.
fn find_entry(module: &Module, args: &MapArgs, items: &Items) -> anyhow::Result<Entry> {
    let reduce = args.results.reduce.as_deref();
    if reduce.is_some() {
        module.entry(reduce, None)?;
    }
    let entry = module.entry(args.task.call.as_deref(), reduce)?;
    if args.argv.is_some() && entry != Entry::Command && !module.description().reads_argv() {
        let name = module.name();
        return Err(usage(format!(
            "words after -- are a WASI program's arguments, and module {name} imports no args_get of WASI"
        )));
    }
    if items.kind() == ItemKind::File {
        module.check_own_inputs()?;
    }
    for argument in items.known_arguments() {
        check_argument(&entry, argument)?;
    }
    Ok(entry)
}

/// The job without its files.
fn new_job(module: &Module, entry: &Entry, args: &MapArgs) -> wrun::Result<Job> {
    let mut job = Job::new(module).call(entry.name()).limits(args.limits.limits());
    job.argv.clone_from(&args.argv);
    args.task.apply(&mut job);
    job.instances = args.workers.instances();
    args.grants.grant(&mut job)?;
    args.failure.apply(&mut job);
    job.admission = args.workers.admission();
    job.slow = args.watching.slow;
    Ok(job)
}

fn new_settings(args: &MapArgs, rerun: RerunCommand) -> Settings {
    Settings {
        format: args.results.format(args.watching.summary),
        progress: args.watching.progress,
        verbose: args.watching.verbose,
        summary: args.watching.summary,
        most_attempts: args.failure.most_attempts(),
        rerun,
        is_merged: args.results.reduce.is_some(),
        reuses_instances: args.workers.instances() == Instances::Reused,
    }
}

/// The command line that does the same with one task.
fn rerun_command(args: &MapArgs, job: &Job, run_options: Vec<OsString>, item_kind: ItemKind) -> RerunCommand {
    let mut words = vec![not_like_an_option(&args.module).into_os_string()];
    // The task was found by leaving out the one that merges, which `run` does not know.
    if let (None, Some(_), Some(function)) = (&args.task.call, &args.results.reduce, &job.call) {
        words.extend(["--call".into(), function.into()]);
    }
    words.extend(run_options);
    if args.watching.dry_run {
        words.extend(args.results.options_of_run());
    }
    RerunCommand::new(&words, job.argv.as_deref(), item_kind)
}

fn not_like_an_option(path: &Path) -> PathBuf {
    if path.as_os_str().as_bytes().starts_with(b"-") { Path::new(".").join(path) } else { path.to_owned() }
}

/// The warning if an earlier result may differ from what its task would give now.
const IMPURE: &str = "wrun: warning: results in the joblog are reused, although tasks could see other files in --dir, other bytes in \
                      --shared, another time or other random numbers now";

/// Lets the items be noted for the job log, if there is one.
fn with_log(
    items: Items,
    log: Option<OpenLog>,
    job: &Job,
    reduce: Option<&str>,
) -> anyhow::Result<(LoggedItems, Option<JobLog>)> {
    let Some(log) = log else { return Ok((LoggedItems::without_log(items), None)) };
    let is_pure = job.grants.are_pure() && job.shared.is_empty();
    if log.resumed.is_some() && !is_pure {
        line_to_stderr(IMPURE);
    }
    let keys = TaskKeys::new(job, reduce)?;
    let (items, log) = LoggedItems::with_log(items, keys, log, job.out.as_ref())?;
    Ok((items, Some(log)))
}
