//! The command line.
//!
//! - `commands/` has one module per subcommand; each has a struct of its arguments with a method `execute`.
//! - `options/` has the groups of options that subcommands share, and what these open or set.
//! - `items/` turns words, lines and files into tasks.
//!
//! The rest is about the command line as a whole: environment variables, errors, exit codes, signals, files in two roles.

mod commands;
mod environment;
mod errors;
mod exit_codes;
mod file_roles;
mod interrupt;
mod items;
mod man_page;
mod options;
#[cfg(test)]
mod reference_tests;
mod run_options;
mod stdout;
mod threads;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use wrun::{EarlyWorker, Pool, PoolBuilder};

use commands::{cache, compile, completions, inspect, man, map, new, report, run, snapshot};
pub use errors::{details_of, exit_code_of, message_of};
use errors::{print_help, usage, without_usage_text};

/// How environment variables set options.
const ENVIRONMENT: &str = "Every option can also be set by an environment variable, such as WRUN_JOBS=2, WRUN_MAX_OUTPUT=1G or \
                           WRUN_TAG=true; command-line options take precedence.";

/// The exit codes and their meanings.
const EXIT_CODES: &[(u8, &str)] = &[
    (exit_codes::OK, "all tasks ok"),
    (exit_codes::FAILURE, "wrun itself failed"),
    (exit_codes::USAGE, "wrong usage"),
    (exit_codes::TASK_FAILED, "some task failed"),
    (exit_codes::INTERRUPTED, "interrupted"),
];

/// What all help texts end with.
fn after_help() -> String {
    let codes: Vec<String> = EXIT_CODES.iter().map(|(code, meaning)| format!("{code} {meaning}")).collect();
    format!("{ENVIRONMENT}\n\nExit codes: {}.", codes.join("; "))
}

/// Run WebAssembly tasks over large files, in parallel, sandboxed, without copying the data
///
/// A module is compiled once. Each task then runs in a fresh instance of it, in one of several worker processes that the system
/// confines. Files are mapped into the memory of tasks.
#[derive(Debug, Parser)]
#[command(name = "wrun", version, max_term_width = 110, after_help = after_help(), subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Map(Box<map::MapArgs>),
    Run(Box<run::RunArgs>),
    Inspect(inspect::InspectArgs),
    Compile(compile::CompileArgs),
    New(new::NewArgs),
    Snapshot(snapshot::SnapshotArgs),
    Report(report::ReportArgs),
    Cache(cache::CacheArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Command {
    /// Whether it may start workers or compilers.
    fn uses_processes(&self) -> bool {
        match self {
            Command::Map(_) | Command::Run(_) | Command::Inspect(_) | Command::Compile(_) | Command::Snapshot(_) => {
                true
            }
            Command::New(_) | Command::Report(_) | Command::Cache(_) | Command::Completions(_) | Command::Man(_) => {
                false
            }
        }
    }
}

/// Parses the command line and executes the subcommand.
///
/// # Errors
///
/// If the command line is wrong, or something fails that is not a task's own failure.
pub fn run(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let words = spell_out_null(words.into_iter().collect());
    interrupt::Interrupted::not_by_large_files().map_err(|error| anyhow::anyhow!("signal handlers: {error}"))?;
    let early = early_worker(&words);
    // The first pass ignores environment variables. It finds the options that the command line gives: these take
    // precedence over variables that conflict with them.
    let given = match without_variables().try_get_matches_from(&words) {
        Ok(given) => given,
        Err(error) => return print_help(&error),
    };
    let with_variables = environment::with_variables(without_variables(), &given);
    let parsed = with_variables.clone().try_get_matches_from(&words).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, run_options::run_options(&matches, &with_variables)))
    });
    let (cli, run_options) = match parsed {
        Ok(parsed) => parsed,
        // The first pass accepted the words, so this error is about a variable.
        Err(error) => {
            let message = without_usage_text(&error.render().to_string());
            return Err(usage(environment::name_variables(&message)));
        }
    };
    if cli.command.uses_processes() {
        interrupt::follow_job_control();
    }
    match cli.command {
        Command::Map(args) => args.execute(run_options, early),
        Command::Run(args) => args.execute(early),
        Command::Inspect(args) => args.execute(),
        Command::Compile(args) => args.execute(),
        Command::New(args) => args.execute(),
        Command::Snapshot(args) => args.execute(),
        Command::Report(args) => args.execute(),
        Command::Cache(args) => args.execute(),
        Command::Completions(args) => args.execute(definition()),
        Command::Man(args) => args.execute(definition()),
    }
}

/// Starts a worker for the first task, which gets ready while the rest of the command line is checked and the module is
/// loaded.
fn early_worker(words: &[OsString]) -> Option<EarlyWorker> {
    let is_dry = environment::is_set("dry-run") || words.iter().any(|word| word == "--dry-run");
    let runs_tasks = !is_dry && words.get(1).is_some_and(|word| word == "run" || word == "map");
    let names_backend = |word: &OsString| word.as_encoded_bytes().starts_with(b"--backend");
    if !runs_tasks || environment::is_set("backend") || words.iter().any(names_backend) {
        return None;
    }
    // If it cannot be started, later ones cannot either, and that is reported then.
    Pool::builder().early_worker().ok()
}

/// Makes a pool, around the worker that was started early if there is one.
fn build_pool(builder: PoolBuilder, early: Option<EarlyWorker>) -> wrun::Result<Pool> {
    match early {
        Some(early) => builder.build_with(early),
        None => builder.build(),
    }
}

/// The definition of the command line without environment variables.
fn without_variables() -> clap::Command {
    Cli::command().mut_subcommands(|subcommand| subcommand.after_help(after_help()))
}

/// The definition of the command line with the environment variables of all options.
fn definition() -> clap::Command {
    without_variables().mut_subcommands(|subcommand| subcommand.mut_args(environment::with_variable))
}

/// Spells `-0` out: between items, which may be negative numbers, it would be taken for one.
fn spell_out_null(words: Vec<OsString>) -> Vec<OsString> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let is_map = words.get(1).is_some_and(|word| word == "map");
    let spell = |(at, word): (usize, OsString)| if is_map && at < end && word == "-0" { "--null".into() } else { word };
    words.into_iter().enumerate().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::exit_codes::USAGE;
    use super::*;

    fn refused(words: &[&str]) -> String {
        let error = run(words.iter().map(OsString::from)).unwrap_err();
        assert_eq!(format!("{:?}", exit_code_of(&error)), format!("{:?}", ExitCode::from(USAGE)));
        error.to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
        // clap checks this in debug builds only.
        for subcommand in definition().get_subcommands() {
            let mut ids: Vec<_> = subcommand.get_arguments().map(|arg| arg.get_id()).collect();
            let count = ids.len();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), count, "two arguments of {} have one id", subcommand.get_name());
        }
    }

    #[test]
    fn every_option_has_an_environment_variable_and_help() {
        for subcommand in definition().get_subcommands() {
            for arg in subcommand.get_arguments() {
                let name = format!("{} {}", subcommand.get_name(), arg.get_id());
                assert!(arg.get_help().is_some(), "{name} has no help");
                if let Some(long) = arg.get_long() {
                    let variable = arg.get_env().unwrap_or_else(|| panic!("{name} has no variable")).to_str().unwrap();
                    assert_eq!(variable.strip_prefix("WRUN_").unwrap().to_lowercase().replace('_', "-"), long);
                    assert!(arg.get_help_heading().is_some(), "{name} belongs to no group");
                } else {
                    assert!(arg.is_positional(), "{name} has no long name");
                }
            }
        }
    }

    #[test]
    fn subcommands_are_summed_up_in_a_line() {
        for subcommand in definition().get_subcommands() {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            assert!((10..80).contains(&about.len()), "{}: {about:?}", subcommand.get_name());
        }
    }

    #[test]
    fn usage_errors_are_one_line_that_names_the_option() {
        for (words, message) in [
            (
                &["wrun", "map", "m.wasm", "--jobs", "0"][..],
                "invalid value '0' for '--jobs <N>': 0 jobs would run nothing; give 1 or more, or -1 for one job per CPU; \
                 --help shows all options",
            ),
            (
                &["wrun", "map"],
                "the following required arguments were not provided: <MODULE>; --help shows all options",
            ),
            (
                &["wrun", "map", "m.wasm", "a", "--splt", "1M"],
                "unexpected argument '--splt' found; tip: a similar argument exists: '--split'; --help shows all options",
            ),
        ] {
            assert_eq!(refused(words), message);
        }
    }
}
