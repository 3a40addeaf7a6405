//! The book's pages for users of other tools: their output is what is printed, and their code runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::documents::document;
use super::examples::{blocks, guests_dir, must_be_current, replay, replay_document};
use super::tidy::missing_tests;
use crate::support::{stderr, stdout};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// joblib's examples, and their equivalents.
const EXAMPLES: &str = "docs/src/coming-from/joblib-examples.md";

/// Tables of other tools' features.
const TABLES: [&str; 3] =
    ["docs/src/coming-from/joblib.md", "docs/src/coming-from/gnu-parallel.md", "docs/src/coming-from/wasmtime.md"];

#[test]
fn what_joblib_does_wrun_does_as_the_document_shows() {
    must_be_current("parity");
    must_be_current("record_replay");
    let document = document(EXAMPLES);
    assert!(document.contains("\nmake build guests && ") && document.contains("\ncd examples/guests\n```\n"));
    assert!(blocks(&document, "console").len() > 25);
    replay_document(EXAMPLES, guests_dir().path());
}

/// Lines without their indentation.
fn unindented(text: &str) -> String {
    text.lines().map(|line| line.trim_start().to_owned() + "\n").collect()
}

#[test]
fn rust_code_in_the_document_is_that_of_the_program() {
    let source = document("examples/parity.rs");
    let document = document(EXAMPLES);
    let quotes = blocks(&document, "rust");
    assert!(quotes.len() > 8, "only {} quotes", quotes.len());
    for quote in quotes {
        assert!(unindented(&source).contains(&unindented(quote)), "not in the program:\n{quote}");
    }
    // Every example in the program is in the document.
    let names: BTreeSet<&str> = source.split("Some(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        assert!(document.contains(&format!("parity {name}\n")), "{name} is not in the document");
    }
}

/// Runs the examples of all blocks, and reports those whose output differs from what they show.
const DOCTEST: &str = r#"
import doctest, sys
blocks = open(sys.argv[1]).read().split("\n```python\n")[1:]
runner, names = doctest.DocTestRunner(), {"__name__": "__main__"}
for number, block in enumerate(block.split("```")[0] for block in blocks):
    example = doctest.DocTestParser().get_doctest(block, names, f"block {number}", None, 0)
    example.globs = names
    runner.run(example, clear_globs=False)
print(runner.summarize().attempted)
sys.exit(runner.failures > 0)
"#;

#[test]
fn joblib_prints_what_the_document_says() {
    let installed = Command::new("python3").args(["-c", "import joblib, numpy"]).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        return eprintln!("skipped: joblib and NumPy are not installed (pip install joblib numpy)");
    }
    let document = document(EXAMPLES);
    let mut arrays = blocks(&document, "console");
    arrays.retain(|block| block.contains("--call arange"));
    let dir = guests_dir();
    replay(&arrays, dir.path());
    let script = dir.path().join("run.py");
    fs::write(&script, DOCTEST).expect("a file");
    let mut python = Command::new("python3");
    python.arg(script).arg(Path::new(ROOT).join(EXAMPLES)).current_dir(dir.path());
    let output = python.output().expect("python3");
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let examples: u64 = stdout(&output).trim().parse().expect("a count");
    assert!(examples > 30, "only {examples} examples of Python");
}

/// Rows of a table's body that neither name what proves their claim, nor say that the feature is missing.
fn claims_alone(table: &str) -> Vec<&str> {
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| shown by |"));
    rows.filter(|row| {
        let shown = row.trim_end_matches('|').rsplit(" | ").next().expect("a last column");
        !(shown.contains(".rs::") || shown.contains("](") || row.contains("**not there**"))
    })
    .collect()
}

#[test]
fn what_is_said_of_other_tools_is_shown_by_a_test_or_is_not_there() {
    let tables = TABLES.map(document).join("\n");
    assert!(tables.matches(".rs::").count() > 80 && tables.contains("**not there**"));
    assert_eq!(missing_tests(&tables), Vec::<String>::new());
    assert_eq!(claims_alone(&tables), Vec::<&str>::new());
    let alone = "| `--x` | `--y` | |";
    assert_eq!(claims_alone(&format!("| a | b | shown by |\n|---|---|---|\n{alone}\n")), [alone]);
}
