//! The command line: one file per subcommand, and the groups of options that they share.

mod arguments;
mod cache;
mod compile;
mod compiler;
mod completions;
mod core_dumps;
mod dry_run;
mod exit_codes;
mod failure;
mod grants;
mod inspect;
mod interrupt;
mod items;
mod lines;
mod map;
mod options;
mod parse;
mod print;
mod regions;
mod report;
mod rerun;
mod results;
mod resume;
mod run;
mod watching;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Id, Parser, Subcommand};
use wrun::{EarlyWorker, Pool, PoolBuilder};

const AFTER_HELP: &str = "\
Every option can also be given as an environment variable, such as WRUN_JOBS=2, WRUN_MAX_OUTPUT=1G or WRUN_TAG=true; \
an option on the command line goes before it.

Exit codes: 0 all tasks ok; 1 wrun itself failed; 2 wrong usage; 100 some task failed; 130 interrupted.";

/// Run WebAssembly tasks over large files, in parallel, sandboxed, without copying the data
#[derive(Debug, Parser)]
#[command(name = "wrun", version, max_term_width = 110, after_help = AFTER_HELP, subcommand_required = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Map(Box<map::MapArgs>),
    Compile(compile::CompileArgs),
    Report(report::ReportArgs),
    Inspect(inspect::InspectArgs),
    Cache(cache::CacheArgs),
    Completions(completions::CompletionsArgs),
}

/// Parses the command line and does what it says.
///
/// # Errors
///
/// Where the command line is wrong, or something fails that is not a task's own failure.
pub fn run(words: impl IntoIterator<Item = OsString>) -> anyhow::Result<ExitCode> {
    let words = with_null(words.into_iter().collect());
    interrupt::Interrupted::not_by_large_files().map_err(|error| anyhow::anyhow!("signal handlers: {error}"))?;
    let early = early_worker(&words);
    // Once without variables, to see what the command line itself says: that goes before what they say.
    let said = match Cli::command().after_help_everywhere().try_get_matches_from(&words) {
        Ok(said) => said,
        Err(error) => return help_or_usage(&error),
    };
    let with_variables = command_with_variables(&said);
    let parsed = with_variables.clone().try_get_matches_from(&words).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, rerun::shared_options(&matches, &with_variables)))
    });
    let (cli, shared_options) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return Err(usage(name_variables(&one_line(&error.render().to_string())))),
    };
    match cli.command {
        Command::Run(args) => args.execute(early),
        Command::Map(args) => args.execute(shared_options, early),
        Command::Compile(args) => args.execute(),
        Command::Report(args) => args.execute(),
        Command::Inspect(args) => args.execute(),
        Command::Cache(args) => args.execute(),
        Command::Completions(args) => args.execute(command()),
    }
}

/// A worker for the first task, which gets ready while the rest of the command line is looked at and the module is loaded.
fn early_worker(words: &[OsString]) -> Option<EarlyWorker> {
    let is_dry = std::env::var_os(variable("dry-run")).is_some() || words.iter().any(|word| word == "--dry-run");
    let runs_tasks = !is_dry && words.get(1).is_some_and(|word| word == "run" || word == "map");
    let elsewhere = |word: &OsString| word.as_encoded_bytes().starts_with(b"--backend");
    if std::env::var_os(variable("backend")).is_some() || words.iter().any(elsewhere) {
        return None;
    }
    // Where it cannot be started, a later one cannot either, and that is then said.
    if runs_tasks { Pool::builder().early_worker().ok() } else { None }
}

/// Makes a pool, around the worker that was started early if there is one.
fn pool(builder: PoolBuilder, early: Option<EarlyWorker>) -> wrun::Result<Pool> {
    match early {
        Some(early) => builder.build_with(early),
        None => builder.build(),
    }
}

/// The command line's definition.
pub fn command() -> clap::Command {
    Cli::command().after_help_everywhere().mut_subcommands(|subcommand| subcommand.mut_args(with_variable))
}

/// The definition with the variables of all options but those that exclude an option which was `said`.
fn command_with_variables(said: &ArgMatches) -> clap::Command {
    let Some((name, said)) = said.subcommand() else { return command() };
    Cli::command().after_help_everywhere().mut_subcommand(name, |subcommand| {
        let from_words = |id: &Id| said.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        let excludes = |a: &clap::Arg, b: &clap::Arg| {
            subcommand.get_arg_conflicts_with(a).iter().any(|other| other.get_id() == b.get_id())
        };
        let args = || subcommand.get_arguments();
        let excluded: Vec<Id> = args()
            .filter(|arg| {
                let mut spoken = args().filter(|other| from_words(other.get_id()));
                spoken.any(|other| excludes(arg, other) || excludes(other, arg))
            })
            .map(|arg| arg.get_id().clone())
            .collect();
        subcommand.mut_args(|arg| if excluded.contains(arg.get_id()) { arg } else { with_variable(arg) })
    })
}

/// Adds what all help texts end with.
trait AfterHelp {
    fn after_help_everywhere(self) -> Self;
}

impl AfterHelp for clap::Command {
    fn after_help_everywhere(self) -> Self {
        self.mut_subcommands(|subcommand| subcommand.after_help(AFTER_HELP))
    }
}

/// Spells `-0` out: between items, which may be negative numbers, it would be taken for one.
fn with_null(words: Vec<OsString>) -> Vec<OsString> {
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let is_map = words.get(1).is_some_and(|word| word == "map");
    let spell = |(at, word): (usize, OsString)| if is_map && at < end && word == "-0" { "--null".into() } else { word };
    words.into_iter().enumerate().map(spell).collect()
}

/// Names the variables in the place of their options, which nobody wrote.
fn name_variables(message: &str) -> String {
    let mut parts = message.split("'--");
    let mut said = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (option, rest) = part.split_once('\'').unwrap_or((part, ""));
        let name = option.split([' ', '=', '[']).next().unwrap_or(option);
        said.push_str(&variable(name));
        said.push_str(rest);
    }
    said
}

fn variable(option: &str) -> String {
    format!("WRUN_{}", option.to_uppercase().replace('-', "_"))
}

/// Lets an option be given by the environment variable `WRUN_<NAME>`. The help says so once, not at every option.
fn with_variable(arg: clap::Arg) -> clap::Arg {
    let Some(name) = arg.get_long() else { return arg };
    let variable = variable(name);
    let arg = arg.env(variable).hide_env(true);
    match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(parse::switch),
        _ => arg,
    }
}

/// What to say of an error; of a limit that the system's words do not name, also what to do.
pub fn message_of(error: &anyhow::Error) -> String {
    let said = format!("{error:#}");
    // errno(3) `EMFILE`, as the standard library ends its words. The processes of workers tell it in text.
    match said.contains("(os error 24)") {
        true => format!("{said}: raise the limit of open files (ulimit -n), or use fewer inputs or jobs"),
        false => said,
    }
}

/// The exit code for what [`run`] gave as an error.
pub fn exit_code_of(error: &anyhow::Error) -> ExitCode {
    let wrong_usage = error
        .chain()
        .any(|cause| cause.is::<Usage>() || cause.downcast_ref::<wrun::Error>().is_some_and(wrun::Error::is_request));
    ExitCode::from(if wrong_usage { exit_codes::USAGE } else { exit_codes::FAILURE })
}

/// A command line that is wrong, said in one line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn usage(message: impl Into<String>) -> anyhow::Error {
    Usage(message.into()).into()
}

/// Prints help where it was asked for; makes one line of what the parser says otherwise.
fn help_or_usage(error: &clap::Error) -> anyhow::Result<ExitCode> {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print::written(error.print())?;
            Ok(ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Ok(ExitCode::from(exit_codes::USAGE))
        }
        _ => Err(usage(one_line(&error.render().to_string()))),
    }
}

/// The parser's message and tips without its usage text, which `--help` shows better.
fn one_line(message: &str) -> String {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let lines = message.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // After `--` come a command's words, so the tip to put a value there is no good one here.
    let useless = |line: &str| line.is_empty() || line.starts_with("For more") || line.contains("as a value, use '--");
    let said: Vec<&str> = lines.filter(|line| !useless(line)).collect();
    let said = said.join("; ").replace(":; ", ": ");
    format!("{said}; --help shows all options")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> String {
        let error = run(words.iter().map(OsString::from)).unwrap_err();
        assert_eq!(format!("{:?}", exit_code_of(&error)), format!("{:?}", ExitCode::from(exit_codes::USAGE)));
        error.to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
        // clap looks at this in debug builds only.
        for subcommand in command().get_subcommands() {
            let mut ids: Vec<_> = subcommand.get_arguments().map(|arg| arg.get_id()).collect();
            let count = ids.len();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), count, "two arguments of {} have one id", subcommand.get_name());
        }
    }

    #[test]
    fn every_option_has_an_environment_variable_and_help() {
        for subcommand in command().get_subcommands() {
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
