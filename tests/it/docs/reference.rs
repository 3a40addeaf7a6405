//! Checks the book's reference against the library and the command: an outdated page fails a test.

use wrun::{Limits, PoolBuilder, Status, Task};

use super::documents::document;
use crate::support::{run, stdout};

/// The first column of the first table of a page, without its header.
fn first_column(page: &str) -> Vec<String> {
    let rows = page.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = rows.skip(2).map(|row| row.split('|').nth(1).expect("a cell"));
    cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn the_page_of_statuses_has_all_of_them() {
    let statuses = Status::ALL.map(|status| status.as_str().to_owned());
    assert_eq!(first_column(&document("docs/src/reference/statuses.md")), statuses);
}

#[test]
fn the_page_of_exit_codes_has_all_of_them() {
    let help = stdout(&run(&["--help"]));
    let (_, codes) = help.split_once("Exit codes:").expect("the end of the help");
    let codes: Vec<_> = codes.split(';').filter_map(|code| code.split_whitespace().next()).collect();
    assert!(codes.len() >= 5, "{codes:?}");
    assert_eq!(first_column(&document("docs/src/reference/exit-codes.md")), codes);
}

/// A number of bytes as the page of limits shows it.
fn size(bytes: u64) -> String {
    match bytes.trailing_zeros() {
        30.. => format!("{} GiB", bytes >> 30),
        20.. => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    }
}

#[test]
fn the_page_of_limits_has_the_defaults() {
    let page = document("docs/src/reference/limits.md");
    let limits = Limits::default();
    assert_eq!((limits.timeout, limits.fuel), (None, None));
    let rows = [
        ("--timeout", "none".to_owned()),
        ("--memory", size(limits.memory_bytes)),
        ("--max-output", size(limits.output_bytes)),
        ("--stack", format!("{} (at most {})", size(limits.stack_bytes), size(Limits::MAX_STACK_BYTES))),
        ("--fuel", "none".to_owned()),
        ("--max-log", size(limits.log_bytes)),
        (
            "--max-argument",
            format!("{} (at most {})", size(limits.argument_bytes), size(Task::MAX_ARGUMENT_BYTES as u64)),
        ),
        (
            "--max-memories",
            format!("{} and {} (at most {} each)", limits.memories, limits.tables, Limits::MAX_MEMORIES),
        ),
        ("--max-open-files", format!("{} (at most {})", limits.open_files, Limits::MAX_OPEN_FILES)),
        ("--max-host-call", size(limits.host_call_bytes)),
        ("--scratch", size(limits.scratch_bytes)),
        ("PoolBuilder::start_timeout", format!("{} s", PoolBuilder::START_TIMEOUT.as_secs())),
    ];
    assert_eq!(Limits::MAX_MEMORIES, Limits::MAX_TABLES);
    for (option, default) in rows {
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{option}`")));
        let row = row.unwrap_or_else(|| panic!("the page has no row for {option}"));
        let cell = row.split('|').nth(2).expect("the column of defaults").trim().replace(',', "");
        assert!(
            cell == default || cell.starts_with(&format!("{default} (")),
            "{option}: the default is {default}, not {cell}"
        );
    }
}

#[test]
fn the_page_of_limits_has_every_option_that_is_one() {
    let help = stdout(&run(&["map", "--help"]));
    let (_, limits) = help.split_once("\nLimits:\n").expect("a group of options");
    let limits = limits.lines().take_while(|line| line.is_empty() || line.starts_with(' '));
    // The text below an option is indented further.
    let options = limits.filter_map(|line| line.strip_prefix("      --")?.split(' ').next());
    let page = document("docs/src/reference/limits.md");
    let mut count = 0;
    for option in options {
        assert!(page.contains(&format!("`--{option}`")), "the page does not have --{option}");
        count += 1;
    }
    assert!(count >= 10, "only {count} options");
}
