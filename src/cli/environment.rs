//! Options as environment variables: `--max-output` is `WRUN_MAX_OUTPUT`.

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Id};

use super::options::values;

/// The name of an option's variable.
pub fn variable(option: &str) -> String {
    format!("WRUN_{}", option.to_uppercase().replace('-', "_"))
}

/// Whether the option is set by its variable. An empty variable counts as unset.
pub fn is_set(option: &str) -> bool {
    std::env::var_os(variable(option)).is_some_and(|value| !value.is_empty())
}

/// Whether there is a variable for the option, but with no value.
fn is_empty(option: &str) -> bool {
    std::env::var_os(variable(option)).is_some_and(|value| value.is_empty())
}

/// Lets a variable set the option. The help mentions variables once, not at every option.
pub fn with_variable(arg: clap::Arg) -> clap::Arg {
    let Some(name) = arg.get_long().filter(|name| !is_empty(name)) else { return arg };
    let variable = variable(name);
    let arg = arg.env(variable).hide_env(true);
    match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(values::switch),
        _ => arg,
    }
}

/// Adds the variables of all options to the subcommand in `given`, except of those that conflict with an option given on the
/// command line.
pub fn with_variables(definition: clap::Command, given: &ArgMatches) -> clap::Command {
    let Some((name, given)) = given.subcommand() else { return definition };
    definition.mut_subcommand(name, |subcommand| {
        let overruled = overruled(&subcommand, given);
        subcommand.mut_args(|arg| if overruled.contains(arg.get_id()) { arg } else { with_variable(arg) })
    })
}

/// The options that conflict with one given on the command line.
fn overruled(subcommand: &clap::Command, given: &ArgMatches) -> Vec<Id> {
    let is_given = |arg: &&clap::Arg| given.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let names_as_conflict = |a: &clap::Arg, b: &clap::Arg| {
        subcommand.get_arg_conflicts_with(a).iter().any(|other| other.get_id() == b.get_id())
    };
    let conflicts = |arg: &clap::Arg| {
        let mut given = subcommand.get_arguments().filter(is_given);
        given.any(|other| names_as_conflict(arg, other) || names_as_conflict(other, arg))
    };
    subcommand.get_arguments().filter(|arg| conflicts(arg)).map(|arg| arg.get_id().clone()).collect()
}

/// Replaces the names of options in a message by those of the variables that set them.
pub fn name_variables(message: &str) -> String {
    let mut parts = message.split("'--");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (option, rest) = part.split_once('\'').unwrap_or((part, ""));
        let name = option.split([' ', '=', '[']).next().unwrap_or(option);
        named.push_str(&variable(name));
        named.push_str(rest);
    }
    named
}
