//! The example guests on real text, compared with independent tools; and the documents' examples, run as they are shown.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::documents::{document, pages};
use crate::support::{self, guest, in_ci, run, stderr, stdout, wrun};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The C guest; `None`, with a message, if its tools are not installed.
fn c_guest() -> Option<String> {
    let built = support::built_guests().join("target/wasm/wordcount-c.wasm").exists();
    if !built && !in_ci() {
        eprintln!("skipped: wordcount-c was not built (see `make guests`)");
        return None;
    }
    Some(guest("wordcount-c"))
}

/// Text from outside this project: some 6 MiB of the Rust toolchain's documentation; outside CI, if that is not installed, the
/// sources of this crate's dependencies.
fn texts() -> &'static [PathBuf] {
    static TEXTS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let docs = docs_dir();
        if !docs.is_dir() && in_ci() {
            panic!("{} is missing: run `rustup component add rust-docs`", docs.display());
        }
        let mut texts = Vec::new();
        let mut room = CORPUS_BYTES;
        collect(&docs.join("std"), "html", &mut room, &mut texts);
        if room > 0 {
            eprintln!("Rust's documentation is not installed: using the sources of dependencies as text");
            let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
            let cargo = cargo.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).expect("a home directory");
            collect(&cargo.join("registry/src"), "rs", &mut room, &mut texts);
        }
        assert_eq!(room, 0, "not enough text to test with");
        texts
    })
}

const CORPUS_BYTES: u64 = 6 << 20;

fn docs_dir() -> PathBuf {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    Path::new(stdout(&rustc).trim()).join("share/doc/rust/html")
}

/// Adds files with this extension, in the order of their names, until they add up to `room` bytes.
fn collect(dir: &Path, extension: &str, room: &mut u64, texts: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if *room == 0 {
            return;
        } else if path.is_dir() {
            collect(&path, extension, room, texts);
        } else if path.extension() == Some(OsStr::new(extension)) {
            *room = room.saturating_sub(fs::metadata(&path).expect("a file").len());
            texts.push(path);
        }
    }
}

/// All of [`texts`] in one file.
fn corpus() -> &'static str {
    static CORPUS: OnceLock<String> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let bytes: Vec<u8> = texts().iter().flat_map(|path| fs::read(path).expect("a readable file")).collect();
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus");
        fs::write(&path, bytes).expect("room for a file");
        path.to_str().expect("a path in UTF-8").to_owned()
    })
}

/// What a shell command prints that uses standard tools, in the C locale.
fn tools(script: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new("sh").args(["-c", script, "sh"]).args(args).env("LC_ALL", "C").output().expect("a shell");
    assert!(output.status.success(), "{script}: {}", stderr(&output));
    output.stdout
}

/// The standard output of a command that must succeed.
fn success(output: &Output) -> &[u8] {
    assert!(output.status.success(), "{:?}: {}", output.status, stderr(output));
    &output.stdout
}

const COUNT_WORDS: &str = r#"cat "$@" | tr -cs '[:alnum:]' '\n' | grep . | sort | uniq -c | awk '{ print $2, $1 }'"#;

#[test]
fn wordcount_in_rust_and_in_c_counts_as_the_standard_tools_do() {
    let corpus = corpus();
    let expected = tools(COUNT_WORDS, &[corpus]);
    assert!(expected.len() > 20_000, "only {} bytes of words", expected.len());
    for module in [Some(guest("wordcount")), c_guest()].into_iter().flatten() {
        for cut in [&["--split", "64K"][..], &["--split-into", "3"], &["--split", "1G"]] {
            let counted = run(&[&["map", &module], cut, &["--reduce", "merge", corpus]].concat());
            assert!(success(&counted) == expected, "{module} {cut:?}: the tables differ");
        }
        // Different bytes, in many files; a word may be cut only at the end of a file.
        let files: Vec<&str> = texts().iter().take(40).map(|path| path.to_str().expect("UTF-8")).collect();
        let counted = run(&[&["map", &module, "--files", "--reduce", "merge"], &files[..]].concat());
        // A newline between the files keeps their words apart.
        let expected = tools(&COUNT_WORDS.replace(r#"cat "$@""#, r#"for f; do cat "$f"; echo; done"#), &files);
        assert!(success(&counted) == expected, "{module}: the tables of {} files differ", files.len());
    }
}

#[test]
fn grep_finds_the_lines_that_grep_finds() {
    // The SDK's lines end before `\r\n`, grep's before `\n`.
    let has_crlf = |path: &Path| fs::read(path).expect("a readable file").windows(2).any(|pair| pair == b"\r\n");
    let files = texts().iter().filter(|path| !has_crlf(path)).take(60);
    let files: Vec<&str> = files.map(|path| path.to_str().expect("UTF-8")).collect();
    assert!(files.len() > 20, "only {} files to search", files.len());
    let mut found = 0;
    for pattern in ["unsafe", "^<!DOCTYPE|^use ", "[0-9]{4}", "(fn|struct) [a-z]+", ">$", "^$", "nowhere-at-all"] {
        let file = support::file(format!("{pattern}\n").as_bytes());
        let input = format!("pattern={}", file.path().display());
        let ours = run(&[&["map", &guest("grep"), "--input", &input, "--files"], &files[..]].concat());
        let theirs = tools(r#"p=$1; shift; grep -anHE -e "$p" "$@" || [ $? = 1 ]"#, &[&[pattern], &files[..]].concat());
        assert!(success(&ours) == theirs, "{pattern}: {} and {} bytes", ours.stdout.len(), theirs.len());
        found += usize::from(!theirs.is_empty());
    }
    assert!(found >= 4, "only {found} of the patterns match anything");
}

#[test]
fn stats_are_those_of_exact_arithmetic() {
    // Multiples of 2^-10, so that their sums are sums of integers; their count is a power of two, so that division is exact.
    const COUNT: i128 = 1 << 18;
    let scale = 1.0 / 1024.0;
    let numbers: Vec<i128> = (0..COUNT).map(|n| (n * 0x9e37_79b9_7f4a_7c15) % (1 << 38) - (1 << 37)).collect();
    let sum: i128 = numbers.iter().sum();
    let squares: i128 = numbers.iter().map(|n| n * n).sum();
    let bytes: Vec<u8> = numbers.iter().flat_map(|&n| (n as f64 * scale).to_le_bytes()).collect();
    let file = support::file(&bytes);
    let path = file.path().to_str().expect("UTF-8");

    let count = COUNT as f64;
    let mean = sum as f64 / count * scale;
    let variance = (COUNT * squares - sum * sum) as f64 / (count * count) * scale * scale;
    let (min, max) = (numbers.iter().min().expect("some"), numbers.iter().max().expect("some"));
    let expected = format!(
        "count {COUNT}\nskipped 0\nmin {:?}\nmax {:?}\nmean {mean:?}\nvariance {variance:?}\n",
        *min as f64 * scale,
        *max as f64 * scale
    );
    let mut reports = Vec::new();
    for cut in [&["--split", "100K"][..], &["--split-into", "7"], &["--split", "1G"]] {
        let report =
            run(&[&["map", &guest("stats"), "--split-at", "record:8", "--reduce", "merge", path], cut].concat());
        let report = String::from_utf8_lossy(success(&report)).into_owned();
        assert!(report.starts_with(&expected), "{cut:?}: {report}\ninstead of {expected}");
        reports.push(report);
    }
    reports.dedup();
    assert_eq!(reports.len(), 1, "the report depends on the cuts");
}

#[test]
fn sqrt_of_many_items_is_that_of_the_processor() {
    let numbers: Vec<f64> = (0..2000).map(|n| f64::from(n) * 1.37e3 + 1e-3).collect();
    let items = support::file(numbers.iter().fold(String::new(), |text, n| text + &format!("{n}\n")).as_bytes());
    let module = Path::new(ROOT).join("examples/guests/wat/sqrt.wat");
    let roots = run(&["map", module.to_str().expect("UTF-8"), "--items", items.path().to_str().expect("UTF-8")]);
    let expected = numbers.iter().fold(String::new(), |text, n| text + &format!("{}\n", n.sqrt()));
    assert_eq!(String::from_utf8_lossy(success(&roots)), expected);
}

#[test]
fn a_wasi_program_gets_items_files_and_standard_input() {
    let module = guest("hello-wasi");
    assert_eq!(success(&run(&["map", &module, "alice", "bob"])), b"hello, alice\nhello, bob\n");
    let file = support::file("the end\n".as_bytes());
    let path = file.path().to_str().expect("UTF-8");
    let greeting = format!("hello, {path}\nTHE END\n");
    assert_eq!(String::from_utf8_lossy(success(&run(&["map", &module, "--files", path]))), greeting);

    let command = wrun(&["run", &module, "carol"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut command = command.expect("wrun starts");
    command.stdin.take().expect("a pipe").write_all(b"good morning\n").expect("a reader");
    let output = command.wait_with_output().expect("an end");
    assert_eq!(success(&output), b"hello, carol\nGOOD MORNING\n");

    let nothing = run(&["run", &module]);
    assert_eq!((nothing.status.code(), stdout(&nothing)), (Some(1), String::new()));
    assert_eq!(stderr(&nothing), "hello-wasi: nothing to do: give names, or text on standard input\n");
}

fn embed(args: &[&str]) -> Output {
    program("embed", args)
}

/// Runs an example program to its end.
pub fn program(name: &str, args: &[&str]) -> Output {
    let mut command = Command::new(must_be_current(name));
    command.env_clear().env("WRUN_CACHE_DIR", support::cache_dir()).current_dir(ROOT).args(args);
    command.output().expect("it starts")
}

#[test]
fn the_embedding_example_counts_words_and_reports_failures() {
    let lines = fs::read_to_string(Path::new(ROOT).join("examples/embed.rs")).expect("a file").lines().count();
    assert!(lines <= 60, "examples/embed.rs has {lines} lines");

    let corpus = corpus();
    let output = embed(&[corpus]);
    let text = String::from_utf8_lossy(success(&output));
    let table = String::from_utf8(tools(COUNT_WORDS, &[corpus])).expect("ASCII");
    let counts = table.lines().map(|line| line.split_once(' ').expect("two words"));
    let most = counts.clone().map(|(_, count)| count.parse::<u64>().expect("a number")).max().expect("a word");
    let (mut pieces, mut end, mut summary) = (0, 0, "");
    for line in text.lines() {
        match line.strip_prefix(&format!("{corpus}@")).and_then(|rest| rest.split_once(':')?.0.split_once('+')) {
            Some((offset, len)) => {
                assert_eq!(offset.parse::<u64>().expect("an offset"), end, "pieces come in order");
                end += len.parse::<u64>().expect("a length");
                pieces += 1;
            }
            None => summary = line,
        }
    }
    assert_eq!(end, fs::metadata(corpus).expect("a file").len());
    assert!(pieces > 3, "{text}");
    assert!(summary.starts_with(&format!("{corpus}: {} different words", counts.count())), "{summary}");
    assert!(summary.ends_with(&format!(": {most} times")), "{summary}: not {most}");

    let failing = support::file(
        br#"(module
        (import "wrun_v1" "fail" (func $fail (param i32 i32)))
        (import "wrun_v1" "input_count" (func (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "no words today")
        (func (export "wrun:task/count") (result i32) (call $fail (i32.const 0) (i32.const 14)) (i32.const 1)))"#,
    );
    let output = embed(&["Cargo.toml", failing.path().to_str().expect("UTF-8")]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
    assert_eq!(stderr(&output), "Cargo.toml: error: no words today\nError: 1 of 1 tasks failed\n");
}

#[test]
fn a_backend_of_ones_own_records_and_replays() {
    let tape = tempfile::NamedTempFile::new().expect("a file");
    let (tape, sqrt) = (tape.path().to_str().expect("UTF-8"), "examples/guests/wat/sqrt.wat");
    let recorded = program("record_replay", &["record", tape, sqrt, "4", "9", "16"]);
    assert!(recorded.status.success(), "{}", stderr(&recorded));
    let results = |output: &Output| stdout(output).lines().map(|line| line[..1].to_owned()).collect::<String>();
    assert_eq!(results(&recorded), "234");
    let replayed = program("record_replay", &["replay", tape, sqrt, "4", "9", "16"]);
    assert_eq!(stdout(&replayed), "2 (worker 4294967295)\n3 (worker 4294967295)\n4 (worker 4294967295)\n");
    let unknown = program("record_replay", &["replay", tape, sqrt, "4", "25"]);
    assert_eq!(stderr(&unknown), "Error: task 1 is not on the tape\n");
}

/// The path of an example program, which must have been built after its source last changed.
pub fn must_be_current(name: &str) -> PathBuf {
    let program = Path::new(support::WRUN).with_file_name("examples").join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let is_current = changed(&program) >= changed(&Path::new(ROOT).join("examples").join(name).with_extension("rs"));
    assert!(is_current, "{} is missing or old: run `cargo build --release --examples`", program.display());
    program
}

/// The contents of the fenced blocks of this language, in order.
pub fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let starts = markdown.split(&fence).skip(1);
    starts.map(|rest| rest.split_once("```\n").expect("the end of a block").0).collect()
}

/// Runs the `$ ` lines of all blocks in one shell. Returns the blocks with the actual output (both streams).
pub fn replay(blocks: &[&str], dir: &Path) -> Vec<String> {
    const MARK: &str = "---- end of output ----\n";
    let commands = blocks.iter().flat_map(|block| block.lines()).filter_map(|line| line.strip_prefix("$ "));
    let mut script = String::from("exec 2>&1\n");
    for command in commands {
        // Keeps `$?` for the next command to show.
        writeln!(script, "{command}\nstatus=$?; printf '%s' '{MARK}'; (exit $status)").expect("a string");
    }
    let built = Path::new(support::WRUN).parent().expect("a directory").display();
    let path = format!("{built}:{built}/examples:{}", std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.env_clear().env("PATH", path).env("WRUN_CACHE_DIR", support::cache_dir()).stdin(Stdio::null());
    let output = bash.args(["-c", &script]).current_dir(dir).output().expect("bash");
    let output = support::without_compiling(&stdout(&output));
    let mut results = output.split(MARK);
    let shown = |block: &&str| {
        let commands = block.lines().filter(|line| line.starts_with("$ "));
        commands.map(|line| format!("{line}\n{}", results.next().unwrap_or("(the shell has ended)"))).collect()
    };
    blocks.iter().map(shown).collect()
}

/// A scratch directory like `examples/guests`, with the built modules.
pub fn guests_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let guests = support::built_guests();
    let modules = dir.path().join("target/wasm");
    fs::create_dir_all(&modules).expect("a directory");
    for name in ["arrow", "npy", "wat"] {
        std::os::unix::fs::symlink(guests.join(name), dir.path().join(name)).expect("a link");
    }
    for entry in fs::read_dir(guests.join("target/wasm")).expect("built guests").flatten() {
        std::os::unix::fs::symlink(entry.path(), modules.join(entry.file_name())).expect("a link");
    }
    dir
}

/// Runs the commands of a document in this directory, and checks its `console` blocks against the output. With
/// `WRUN_BLESS=1`, updates the document instead.
///
/// # Panics
///
/// If a command's output differs from the document.
pub fn replay_document(path: &str, dir: &Path) {
    let mut text = document(path);
    let shown = text.clone();
    let mut blocks = blocks(&shown, "console");
    if c_guest().is_none() {
        blocks.retain(|block| !block.contains("wordcount-c.wasm"));
    }
    let printed = replay(&blocks, dir);
    if std::env::var_os("WRUN_BLESS").is_some() {
        for (block, printed) in blocks.iter().zip(&printed).filter(|(block, printed)| *block != printed) {
            text = text.replace(&format!("```console\n{block}```"), &format!("```console\n{printed}```"));
        }
        fs::write(Path::new(ROOT).join(path), text).expect("a writable document");
        return;
    }
    for (block, printed) in blocks.iter().zip(printed) {
        assert_eq!(*block, printed, "{path} shows the left, but its commands print the right");
    }
}

#[test]
fn the_readme_shows_what_its_commands_print() {
    let readme = document("README.md");
    // These commands put the reader in the directory that this test uses.
    assert!(readme.contains("\nmake build guests ") && readme.contains("\ncd examples/guests/target/wasm "));
    assert!(blocks(&readme, "console").len() >= 3);
    replay_document("README.md", &guests_dir().path().join("target/wasm"));
}

#[test]
fn every_page_of_the_book_shows_what_its_commands_print() {
    let set_up = document("docs/src/guide/tour.md");
    let [set_up, ..] = blocks(&set_up, "sh")[..] else { panic!("the set-up") };
    assert!(set_up.starts_with("make build guests\n"));
    let (_, copy) = set_up.split_once("\ncd examples/guests/target/wasm\n").expect("where the reader is");
    let mut shown = 0;
    // Other tests run these pages, one of them only with `make programs`.
    const ELSEWHERE: [&str; 2] = ["docs/src/coming-from/joblib-examples.md", "docs/src/tasks/programs.md"];
    for page in pages().iter().filter(|page| !ELSEWHERE.contains(&page.as_str())) {
        let count = blocks(&document(page), "console").len();
        if count > 0 {
            let dir = guests_dir();
            let dir = dir.path().join("target/wasm");
            success(&Command::new("sh").args(["-c", copy]).current_dir(&dir).output().expect("a shell"));
            replay_document(page, &dir);
            shown += count;
        }
    }
    assert!(shown > 35, "only {shown} blocks");
}

/// Checks the `console` blocks of `examples/NAME/README.md` against what their commands print, in a copy of that directory.
///
/// # Panics
///
/// If the output of one differs.
pub fn replay_example(name: &str) {
    let examples = Path::new(ROOT).join("examples");
    let place = tempfile::tempdir().expect("a directory");
    let dir = place.path().join(name);
    fs::create_dir(&dir).expect("a directory");
    std::os::unix::fs::symlink(support::built_guests(), place.path().join("guests")).expect("a link");
    for entry in fs::read_dir(examples.join(name)).expect("an example").flatten() {
        fs::copy(entry.path(), dir.join(entry.file_name())).expect("a copy");
    }
    let readme = format!("examples/{name}/README.md");
    assert!(!blocks(&document(&readme), "console").is_empty(), "{name} shows no commands");
    replay_document(&readme, &dir);
}

#[test]
fn replaying_finds_outputs_that_differ() {
    let dir = tempfile::tempdir().expect("a directory");
    let block = "$ echo a; echo b >&2; false\na\nb\n$ echo $?\n0\n";
    assert_eq!(replay(&[block], dir.path()), ["$ echo a; echo b >&2; false\na\nb\n$ echo $?\n1\n"]);
}

/// Code without comment markers and their indentation. A doc comment inside a doc comment loses its slashes.
fn uncommented(source: &str) -> String {
    let line = |line: &str| {
        let line = line.trim_start_matches("//!").trim_start_matches("///");
        line.strip_prefix(' ').unwrap_or(line).replace("/// ", "") + "\n"
    };
    source.lines().map(line).collect()
}

#[test]
fn rust_code_in_documents_is_code_that_is_tested() {
    // Doc tests.
    let sources = ["src", "guest-sdk/src"].iter().flat_map(|place| texts_of(place)).collect::<Vec<_>>();
    let mut tested = 0;
    for path in pages().into_iter().chain(["README.md".to_owned()]).filter(|path| !path.ends_with("joblib-examples.md"))
    {
        let document = document(&path);
        for block in blocks(&document, "rust").into_iter().filter(|block| !block.starts_with("{{#include ")) {
            let block = block.replace("/// ", "");
            assert!(sources.iter().any(|source| source.contains(&block)), "{path} has untested code:\n{block}");
            tested += 1;
        }
    }
    assert!(tested >= 4, "only {tested} blocks");
}

/// The Rust sources in a directory of the repository, without comment markers.
fn texts_of(place: &str) -> Vec<String> {
    let (mut sources, mut room) = (Vec::new(), u64::MAX);
    collect(&Path::new(ROOT).join(place), "rs", &mut room, &mut sources);
    assert!(!sources.is_empty(), "no sources in {place}");
    sources.iter().map(|path| uncommented(&fs::read_to_string(path).expect("a source file"))).collect()
}

#[test]
fn c_code_in_the_book_is_compiled_as_it_says() {
    let page = document("docs/src/tasks/c.md");
    let [code] = blocks(&page, "c")[..] else { panic!("one block of C") };
    let command = page.lines().find_map(|line| line.strip_prefix("clang ")).expect("a command");
    if c_guest().is_none() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("shout.c"), code).expect("a file");
    let include = Path::new(ROOT).join("guest-sdk/c");
    let command = format!("clang {}", command.replace("guest-sdk/c", include.to_str().expect("UTF-8")));
    let built = Command::new("sh").args(["-c", &command]).current_dir(dir.path()).output().expect("a shell");
    success(&built);
    let shout = dir.path().join("shout.wasm");
    assert_eq!(success(&run(&["map", shout.to_str().expect("UTF-8"), "hello", "world"])), b"HELLO\nWORLD\n");
}
