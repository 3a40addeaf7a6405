//! Which options of a `map` a `run` of one of its tasks needs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches};

/// The options of a parsed `map`, whether given as words or as variables, that `run` has as well and that are not about what is
/// printed: words that make `run` do the same.
pub fn shared_options(matches: &ArgMatches, command: &clap::Command) -> Vec<OsString> {
    let (Some(("map", given)), Some(map), Some(run)) =
        (matches.subcommand(), command.find_subcommand("map"), command.find_subcommand("run"))
    else {
        return Vec::new();
    };
    let in_run = |arg: &clap::Arg| run.get_arguments().any(|other| other.get_id() == arg.get_id());
    let mut words = Vec::new();
    for arg in map.get_arguments().filter(|arg| in_run(arg) && arg.get_help_heading() != Some("Results")) {
        let (Some(name), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
        if !matches!(given.value_source(id), Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        match arg.get_action() {
            ArgAction::SetTrue if given.get_flag(id) => words.push(format!("--{name}").into()),
            ArgAction::Set | ArgAction::Append => {
                for value in given.get_raw(id).into_iter().flatten() {
                    // A value may be a secret, and this is shown and logged: whoever runs it again has it in the environment.
                    let name_alone = || value.as_bytes().split(|byte| *byte == b'=').next().map(OsStr::from_bytes);
                    let value = if name == "env" { name_alone().unwrap_or(value) } else { value };
                    let mut word = OsString::from(format!("--{name}"));
                    if value.as_bytes().starts_with(b"-") {
                        word.push("=");
                        word.push(value);
                        words.push(word);
                    } else {
                        words.extend([word, value.to_owned()]);
                    }
                }
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_task_depends_on_is_said_again() {
        let options = |words: &[&str]| {
            let matches = crate::cli::command().try_get_matches_from(words).unwrap();
            shared_options(&matches, &crate::cli::command()).join(" ".as_ref()).into_string().unwrap()
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
