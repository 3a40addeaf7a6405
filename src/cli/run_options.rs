//! The options of a `map` that a `run` of one of its tasks needs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches};

/// The options of a parsed `map`, given on the command line or by variables, that make `run` do the same: all that `run` has as
/// well, except those about what is printed.
pub fn run_options(matches: &ArgMatches, definition: &clap::Command) -> Vec<OsString> {
    let (Some(("map", given)), Some(map), Some(run)) =
        (matches.subcommand(), definition.find_subcommand("map"), definition.find_subcommand("run"))
    else {
        return Vec::new();
    };
    let is_of_run = |arg: &clap::Arg| run.get_arguments().any(|other| other.get_id() == arg.get_id());
    let mut words = Vec::new();
    for arg in map.get_arguments().filter(|arg| is_of_run(arg) && arg.get_help_heading() != Some("Results")) {
        let (Some(name), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
        if !matches!(given.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        match arg.get_action() {
            ArgAction::SetTrue if given.get_flag(id) => words.push(format!("--{name}").into()),
            ArgAction::Set | ArgAction::Append => {
                for value in given.get_raw(id).into_iter().flatten() {
                    add_option(&mut words, name, shown_value(name, value));
                }
            }
            _ => {}
        }
    }
    words
}

/// The value as it may be shown and logged. The value of a task's variable may be a secret; whoever runs the task again has it in
/// the environment.
fn shown_value<'a>(option: &str, value: &'a OsStr) -> &'a OsStr {
    match option {
        "env" => value.as_bytes().split(|byte| *byte == b'=').next().map_or(value, OsStr::from_bytes),
        _ => value,
    }
}

/// Adds an option with its value, in one word if the value looks like an option.
fn add_option(words: &mut Vec<OsString>, name: &str, value: &OsStr) {
    let mut option = OsString::from(format!("--{name}"));
    if value.as_bytes().starts_with(b"-") {
        option.push("=");
        option.push(value);
        words.push(option);
    } else {
        words.extend([option, value.to_owned()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_depends_on_is_repeated() {
        let options = |words: &[&str]| {
            let matches = crate::cli::definition().try_get_matches_from(words).unwrap();
            run_options(&matches, &crate::cli::definition()).join(" ".as_ref()).into_string().unwrap()
        };
        let words = ["wrun", "map", "m.wat", "-j2", "--reuse", "--json", "--call=f", "-i", "a=x@0+1", "-ib=y", "z"];
        assert_eq!(options(&words), "--call f --input a=x@0+1 --input b=y");
        let words = ["wrun", "map", "m.wat", "--memory", "256M", "--allow-precompiled", "--call=-f", "--retries", "2"];
        let mut sorted: Vec<String> = options(&words).split(" --").map(str::to_owned).collect();
        sorted.sort_unstable();
        assert_eq!(sorted, ["--call=-f", "allow-precompiled", "memory 256M"]);
        assert_eq!(options(&["wrun", "run", "m.wat", "--memory", "1M"]), "");
    }
}
