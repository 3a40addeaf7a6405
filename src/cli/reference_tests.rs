//! The options reference, `docs/src/reference/options.md`, is what the definition of the command line says.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{EXIT_CODES, definition, environment};

const PAGE: &str = "docs/src/reference/options.md";

/// Set to write the page instead of comparing it.
const BLESS: &str = "WRUN_BLESS";

#[test]
fn options_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let wanted = reference();
    if std::env::var_os(BLESS).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let difference = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
    assert!(
        found == wanted,
        "{PAGE} is out of date (first difference: {difference:?}); renew it with `make reference`"
    );
}

/// The whole page.
fn reference() -> String {
    let mut definition = definition().disable_help_subcommand(true);
    definition.build();
    let mut page = format!(
        "<!-- Written by a test from the definition of the command line: `make reference` renews this page. -->\n\n\
         # Command-line options\n\n\
         `wrun COMMAND --help` shows the same on the terminal. Sizes take K, M and G (powers of 1024); times need a unit \
         (`500ms`, `2s`, `1m`).\n\n{}\n",
        escape(super::ENVIRONMENT)
    );
    for subcommand in definition.get_subcommands() {
        add_subcommand(&mut page, subcommand);
    }
    page += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for (code, meaning) in EXIT_CODES {
        writeln!(page, "| {code} | {meaning} |").unwrap();
    }
    page
}

fn add_subcommand(page: &mut String, subcommand: &clap::Command) {
    let usage = subcommand.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let about = subcommand.get_long_about().or(subcommand.get_about()).map(ToString::to_string).unwrap_or_default();
    // The first paragraph ends without a full stop, which a list of subcommands does not need.
    let about = about.trim_end_matches('.').replacen("\n\n", ".\n\n", 1) + ".";
    write!(page, "\n## wrun {}\n\n{}\n\n```text\n{usage}\n```\n", subcommand.get_name(), escape(&about)).unwrap();
    let heading_of = |arg: &clap::Arg| match arg.get_help_heading() {
        Some(heading) => heading.to_owned(),
        None => "Arguments".to_owned(),
    };
    let args: Vec<&clap::Arg> = subcommand.get_arguments().filter(|arg| arg.get_id() != "help").collect();
    let mut headings: Vec<String> = Vec::new();
    for heading in args.iter().map(|arg| heading_of(arg)) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings.sort_by_key(|heading| heading != "Arguments");
    for heading in headings {
        write!(page, "\n### {heading}\n\n").unwrap();
        for arg in args.iter().filter(|arg| heading_of(arg) == heading) {
            add_argument(page, arg);
        }
    }
}

fn add_argument(page: &mut String, arg: &clap::Arg) {
    let value = arg.get_value_names().map(|names| names.join(" "));
    let takes_value = arg.get_num_args().is_some_and(|count| count.takes_values());
    let long = arg.get_long().map(|long| match &value {
        Some(value) if takes_value => format!("`--{long} {value}`"),
        _ => format!("`--{long}`"),
    });
    let names = match (arg.get_short(), long) {
        (Some(short), Some(long)) => format!("`-{short}`, {long}"),
        (_, Some(long)) => long,
        _ => format!("`{}`", value.unwrap_or_default()),
    };
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    write!(page, "- {names}: {}.", escape(&help)).unwrap();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes_value && !defaults.is_empty() && !arg.is_hide_default_value_set() {
        write!(page, " Default: `{}`.", defaults.join(" ")).unwrap();
    }
    if let Some(long) = arg.get_long() {
        write!(page, " Variable: `{}`.", environment::variable(long)).unwrap();
    }
    page.push('\n');
    for value in arg.get_possible_values().iter().filter(|_| takes_value) {
        let help = value.get_help().map(|help| format!(": {}", escape(&help.to_string()))).unwrap_or_default();
        writeln!(page, "  - `{}`{help}", value.get_name()).unwrap();
    }
}

/// Text that Markdown shows as it is, outside of code.
fn escape(text: &str) -> String {
    let mut parts = Vec::new();
    for (at, part) in text.split('`').enumerate() {
        parts.push(if at % 2 == 0 { part.replace('*', "\\*").replace('<', "&lt;") } else { part.to_owned() });
    }
    parts.join("`")
}
