//! What ARCHITECTURE.md says about the folders of `src/`: they form layers, and the library does not depend on the command line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::tidy::{Complaints, ROOT, Text, code, hold, in_name, names_of_ours, sources};

/// The folder (or file) of `src/` that a source belongs to; `None` for the two crate roots, for sources elsewhere and for tests.
fn folder_of(path: &str) -> Option<&str> {
    let first = path.strip_prefix("src/")?.split('/').next()?.trim_end_matches(".rs");
    let is_test = path.ends_with("_tests.rs") || path.ends_with("/tests.rs") || path.ends_with("/liar.rs");
    (!is_test && !["lib", "main", "closed_streams", "test_program"].contains(&first)).then_some(first)
}

/// Code without the unit tests at its end.
fn without_tests(text: &str) -> String {
    let text = code(text);
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].to_owned()
}

/// The folder of each name that `lib.rs` exports at the crate's root.
fn homes(lib: &str) -> BTreeMap<String, String> {
    let mut homes = BTreeMap::new();
    for export in lib.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        let Some((home, names)) = export.split_once("::") else { continue };
        for name in names.split(|char| !in_name(char)).filter(|name| !name.is_empty()) {
            homes.insert(name.to_owned(), home.trim().to_owned());
        }
    }
    homes
}

/// The folders that each folder names.
fn dependencies(sources: &[Text], homes: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let Some(folder) = folder_of(&source.path) else { continue };
        let text = without_tests(&source.text);
        let names = names_of_ours(&text).into_iter().map(|name| homes.get(name).map_or(name, String::as_str));
        let of_folder = all.entry(folder.to_owned()).or_default();
        of_folder.extend(names.filter(|name| *name != folder).map(str::to_owned));
    }
    all
}

/// All folders that this one depends on, directly or indirectly.
fn reached<'a>(from: &str, all: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut todo: Vec<&str> = all.get(from).into_iter().flatten().map(String::as_str).collect();
    while let Some(folder) = todo.pop() {
        if reached.insert(folder) {
            todo.extend(all.get(folder).into_iter().flatten().map(String::as_str));
        }
    }
    reached
}

#[test]
fn there_is_no_circle_between_folders() {
    let lib = fs::read_to_string(format!("{ROOT}/src/lib.rs")).expect("src/lib.rs");
    let homes = homes(&code(&lib));
    assert_eq!(homes.get("Job").map(String::as_str), Some("job"), "the root's exports are parsed");
    let rule = |sources: &[Text]| -> Complaints {
        let all = dependencies(sources, &homes);
        let circle = all.keys().filter(|folder| reached(folder, &all).contains(folder.as_str()));
        let circle: Vec<&str> = circle.map(String::as_str).collect();
        if circle.is_empty() { Vec::new() } else { vec![format!("a circle through {}", circle.join(", "))] }
    };
    let sources = sources();
    let complaints = rule(&sources);
    assert!(complaints.is_empty(), "{complaints:?}");
    let sample = |path: &str, text: &str| Text { path: path.to_owned(), text: text.to_owned() };
    let circle = [sample("src/job/task.rs", "use crate::pool::Run;"), sample("src/pool/run.rs", "use crate::Job;")];
    assert_eq!(rule(&circle), ["a circle through job, pool"]);
    assert!(dependencies(&sources, &homes)["pool"].contains("job"), "dependencies are found");
}

/// Text without comments, but with strings.
fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Whether the text contains a word like `--memory`.
fn names_an_option(text: &str) -> bool {
    let is_option = |rest: &str| rest.starts_with(|char: char| char.is_ascii_lowercase());
    // Options of other programs.
    const OTHERS: [&str; 7] = [
        "--disable-compact-imports",
        "--import-memory",
        "--max-memory",
        "--shared-memory",
        "--sync",
        "--translate-to-exnref",
        "--use abort=",
    ];
    text.match_indices("--").any(|(at, dashes)| {
        let starts_word = !text[..at].ends_with(|char: char| in_name(char) || char == '-');
        let is_other = OTHERS.iter().any(|other| text[at..].starts_with(other));
        starts_word && !is_other && is_option(&text[at + dashes.len()..])
    })
}

#[test]
fn the_library_names_no_option_of_the_command() {
    let is_library = |path: &str| {
        let command = ["src/cli/", "src/report/", "src/main.rs"].iter().any(|place| path.starts_with(place));
        path.starts_with("crates/") || !command && folder_of(path).is_some()
    };
    let rule = |sources: &[Text]| -> Complaints {
        let names = |source: &&Text| {
            let text = without_comments(&source.text);
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            is_library(&source.path) && names_an_option(&text)
        };
        sources.iter().filter(names).map(|source| format!("{}: names an option of the command", source.path)).collect()
    };
    let bad = [("src/guest/outcome.rs", "let advice = \"raise it with --memory\";")];
    hold(rule, &sources(), &bad);
}
