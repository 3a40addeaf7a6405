//! The invariants of ARCHITECTURE.md, checked against the source text. Each rule is also tested on text that breaks it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::documents::document;
use crate::support::{run, stdout};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A text file of the repository: its path from the root, with `/`, and its contents.
pub struct Text {
    pub path: String,
    pub text: String,
}

/// Violations of a rule: `PATH: what`.
pub type Complaints = Vec<String>;

/// The text files with these paths or under these directories, except for build outputs.
pub fn texts(places: &[&str]) -> Vec<Text> {
    let mut paths = Vec::new();
    places.iter().for_each(|place| walk(&Path::new(ROOT).join(place), &mut paths));
    assert!(!paths.is_empty(), "no files in {places:?}");
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(ROOT).expect("a file of ours").to_str().expect("a path in UTF-8").to_owned();
        Some(Text { path: name, text: fs::read_to_string(&path).ok()? })
    };
    paths.into_iter().filter_map(read).collect()
}

fn walk(path: &Path, paths: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        assert!(path.is_file(), "{} is missing", path.display());
        return paths.push(path.to_path_buf());
    }
    for entry in fs::read_dir(path).expect("a directory").flatten() {
        let name = entry.file_name();
        if name != "target" && name != ".git" {
            walk(&entry.path(), paths);
        }
    }
}

/// All Rust sources.
pub fn sources() -> Vec<Text> {
    let mut all = texts(&["src", "crates", "guest-sdk", "tests", "benches", "examples", "fuzz"]);
    all.retain(|source| source.path.ends_with(".rs"));
    all
}

/// Complains with `what` about each source that `breaks` the rule. Looks only at code, without comments and contents of strings.
fn complain(sources: &[Text], what: &str, breaks: impl Fn(&str, &str) -> bool) -> Complaints {
    let broken = sources.iter().filter(|source| breaks(&source.path, &code(&source.text)));
    broken.map(|source| format!("{}: {what}", source.path)).collect()
}

/// Checks that a rule holds for `sources`, and that each source in `broken_by` (path, text) would break it.
pub fn hold(rule: impl Fn(&[Text]) -> Complaints, sources: &[Text], broken_by: &[(&str, &str)]) {
    for (path, text) in broken_by {
        let sample = [Text { path: (*path).to_owned(), text: (*text).to_owned() }];
        assert_eq!(rule(&sample).len(), 1, "the rule does not detect the problem in {path}: {text}");
    }
    let complaints = rule(sources);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Rust code without its comments and without the contents of its strings.
pub fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (String::new(), 0);
    let end_of =
        |from: usize, what: &str| text[from..].find(what).map_or(text.len(), |found| from + found + what.len());
    while at < bytes.len() {
        let rest = &text[at..];
        let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let hashes = rest.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
        if rest.starts_with("//") {
            at = end_of(at, "\n");
            out.push('\n');
        } else if rest.starts_with("/*") {
            at = end_of(at, "*/");
        } else if let Some(hashes) = hashes.filter(|hashes| !in_word && rest[1 + hashes..].starts_with('"')) {
            at = end_of(at + hashes + 2, &format!("\"{}", "#".repeat(hashes)));
            out.push_str("\"\"");
        } else if rest.starts_with('"') {
            at += 1;
            while at < bytes.len() && bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at += 1;
            out.push_str("\"\"");
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            at = end_of(at + 3, "'").min(at + 12);
        } else {
            let char = rest.chars().next().expect("not at the end");
            out.push(char);
            at += char.len_utf8();
        }
    }
    out
}

/// Whether the text contains `word` as a whole word, not as part of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| !ends_in_name(&text[..at]) && !text[at + word.len()..].starts_with(in_name))
}

pub fn in_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn ends_in_name(text: &str) -> bool {
    text.chars().next_back().is_some_and(in_name)
}

/// Whether the code names an item of that crate: a path that begins with the crate's name.
fn names_crate(code: &str, name: &str) -> bool {
    let is_path = |rest: &str| rest.starts_with("::") || rest.starts_with(';') || rest.starts_with(" as ");
    code.match_indices(name).any(|(at, _)| !ends_in_name(&code[..at]) && is_path(&code[at + name.len()..]))
}

/// The first names of all paths that begin with `crate::`, including those in braces.
pub fn names_of_ours(code: &str) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let name_of = |text: &str| text.find(|char| !in_name(char)).unwrap_or(text.len());
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.insert(&rest[..name_of(rest)]);
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, char) in group.char_indices() {
            match char {
                '{' => depth += 1,
                ',' | '}' if depth == 0 => {
                    let part = group[start..at].trim_start();
                    names.insert(&part[..name_of(part)]);
                    start = at + 1;
                    if char == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names
}

#[test]
fn code_is_told_from_comments_and_strings() {
    let text = "a // b\nc /* d */ \"e \\\" f\" r#\"g\"h\"# '\"' 'i' &'j k r\"l\" '\\'' m";
    let words: Vec<char> = code(text).chars().filter(|char| char.is_alphabetic()).collect();
    assert_eq!(words, ['a', 'c', 'i', 'j', 'k', 'm']);
    let names = names_of_ours("use crate::{A, b::{C, D}, e}; crate::f::G; use crate::h;");
    assert_eq!(Vec::from_iter(names), ["A", "b", "e", "f", "h"]);
    assert!(has_word("(unsafe {", "unsafe") && !has_word("unsafe_code unsafety", "unsafe"));
}

#[test]
fn wasmtime_is_named_only_where_guests_run_and_modules_are_compiled() {
    // The benchmarks compare wrun with plain wasmtime, and a program may use both.
    const PLACES: [&str; 4] = ["src/guest/", "src/module/", "benches/peers/", "tests/own_wasmtime.rs"];
    let allowed = |path: &str| PLACES.iter().any(|place| path.starts_with(place));
    let names = |code: &str| names_crate(code, "wasmtime") || names_crate(code, "wasmtime_wasi");
    let rule = |sources: &[Text]| complain(sources, "names wasmtime", |path, code| !allowed(path) && names(code));
    let bad =
        [("src/worker/mod.rs", "use wasmtime::Engine;"), ("src/pool/mod.rs", "fn f(_: wasmtime_wasi::I32Exit) {}")];
    hold(rule, &sources(), &bad);
}

#[test]
fn only_sys_calls_the_operating_system() {
    const CRATES: [&str; 5] = ["libc", "rustix", "memmap2", "landlock", "seccompiler"];
    const PLACES: [&str; 2] = ["src/sys/", "crates/ipc/src/sys/"];
    let ours = |path: &str| path.starts_with("src/") || path.starts_with("crates/");
    let ours = |path: &str| ours(path) && !PLACES.iter().any(|place| path.starts_with(place));
    let names = |code: &str| CRATES.iter().any(|name| names_crate(code, name));
    let rule = |sources: &[Text]| complain(sources, "calls the system", |path, code| ours(path) && names(code));
    let bad = [("src/worker/mod.rs", "let pid = unsafe { libc::getpid() };"), ("src/input/mod.rs", "use rustix::fs;")];
    hold(rule, &sources(), &bad);
}

#[test]
fn pool_and_worker_meet_only_in_ipc() {
    const WORKERS: [&str; 2] = ["worker", "guest"];
    // Workers that are threads, and guests on the caller's thread.
    const EXCEPTIONS: [&str; 2] = ["src/pool/crew/thread.rs", "src/pool/inline.rs"];
    const POOLS: [&str; 6] = ["pool", "Pool", "PoolBuilder", "Run", "StopHandle", "Waker"];
    let rule = |sources: &[Text]| {
        complain(sources, "names the other side", |path, code| {
            let named = names_of_ours(code);
            let names = |forbidden: &[&str]| forbidden.iter().any(|name| named.contains(name));
            match path {
                _ if EXCEPTIONS.contains(&path) => false,
                _ if path.starts_with("src/pool/") => names(&WORKERS),
                _ if path.starts_with("src/worker/") || path.starts_with("src/guest/") => names(&POOLS),
                _ => false,
            }
        })
    };
    let bad = [
        ("src/pool/run.rs", "use crate::{Input, worker::main};"),
        ("src/worker/mod.rs", "use crate::pool::Pool;"),
        ("src/guest/instance.rs", "use crate::{Input, Run};"),
    ];
    hold(rule, &sources(), &bad);
}

/// Where `unsafe` is used, and why it is necessary.
const UNSAFE: &[(&str, &str)] = &[
    ("src/sys/", "system calls"),
    ("crates/ipc/src/sys/", "shared memory"),
    ("src/closed_streams.rs", "a function that runs before main"),
    ("src/test_program.rs", "a function that runs before main, for unit tests"),
    ("src/guest/signals/", "handles the signals of faults in windows, and looks at a guest that it has interrupted"),
    ("src/guest/window/", "maps files over guest memory"),
    ("tests/allocations/main.rs", "an allocator that counts"),
    ("tests/it/library/changed_inputs.rs", "a test that changes memory together with a worker"),
    ("src/module/code_file.rs", "loads precompiled code"),
    ("benches/peers/src/", "maps files by plain memmap2, as programs without wrun do"),
    ("guest-sdk/src/raw/", "the contract's imports, and the memory that they map"),
    ("guest-sdk/macros/src/task.rs", "the export's name, in the code that the macro writes"),
    ("guest-sdk/macros/src/init.rs", "as above"),
    ("examples/guests/probe-component/src/lib.rs", "handles that nobody gave it, which the host must refuse"),
    ("src/module/tests.rs", "a test that loads precompiled code"),
];

#[test]
fn unsafe_code_is_where_it_is_expected() {
    let allowed = |path: &str| UNSAFE.iter().any(|(place, _)| path.starts_with(place));
    let rule = |sources: &[Text]| {
        complain(sources, "has unsafe code", |path, code| !allowed(path) && has_word(code, "unsafe"))
    };
    let sources = sources();
    hold(rule, &sources, &[("src/event.rs", "fn f() { unsafe { g() } }")]);
    for (place, why) in UNSAFE {
        let used =
            sources.iter().any(|source| source.path.starts_with(place) && has_word(&code(&source.text), "unsafe"));
        assert!(used, "{place} no longer has unsafe code ({why}): remove it from the list");
    }
}

#[test]
fn files_are_short() {
    const LIMIT: usize = 500;
    const COMFORTABLE: usize = 300;
    let places = |path: &str| ["src/", "crates/", "guest-sdk/", "tests/"].iter().any(|place| path.starts_with(place));
    let rule = |sources: &[Text]| {
        let long = sources.iter().map(|source| (source.text.lines().count(), source));
        let long = long.filter(|(lines, source)| *lines > LIMIT && places(&source.path));
        long.map(|(lines, source)| format!("{}: {lines} lines, and {LIMIT} are the limit", source.path)).collect()
    };
    let sources = sources();
    for source in &sources {
        let lines = source.text.lines().count();
        if lines > COMFORTABLE {
            eprintln!("{}: {lines} lines, more than is comfortable ({COMFORTABLE})", source.path);
        }
    }
    hold(rule, &sources, &[("src/long.rs", &"\n".repeat(LIMIT + 1))]);
}

#[test]
fn nothing_is_left_undone() {
    // In two parts, so that this file does not break its own rule.
    let marks = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("X", "XX")];
    let rule = |sources: &[Text]| {
        let mut complaints = complain(sources, "is not finished", |_, code| {
            ["todo!", "unimplemented!", "dbg!"].iter().any(|name| has_word(code, name)) || code.contains("#[ignore")
        });
        let marked = sources.iter().filter(|source| marks.iter().any(|mark| has_word(&source.text, mark)));
        complaints.extend(marked.map(|source| format!("{}: has a mark of something undone", source.path)));
        complaints
    };
    let mark = format!("// {}: later", marks[0]);
    hold(
        rule,
        &sources(),
        &[("a.rs", "fn f() { todo!() }"), ("b.rs", "#[test]\n#[ignore]\nfn f() {}"), ("c.rs", &mark)],
    );
}

#[test]
fn nobody_sleeps_to_wait_for_something() {
    // The first has to wait for time itself to pass. The second is a guest, whose time is virtual.
    const MAY: [&str; 2] = ["src/sys/file_clock.rs", "tests/it/cli/components/program.rs"];
    let sleeps = |code: &str| code.contains("thread::sleep") || has_word(code, "sleep_ms");
    let rule = |sources: &[Text]| complain(sources, "sleeps", |path, code| !MAY.contains(&path) && sleeps(code));
    hold(rule, &sources(), &[("tests/it/a.rs", "std::thread::sleep(Duration::from_millis(50));")]);
}

/// Every text file of the repository.
pub fn all_texts() -> Vec<Text> {
    texts(&["."]).into_iter().map(|text| Text { path: text.path.replace("./", ""), ..text }).collect()
}

#[test]
fn texts_name_no_place_on_one_machine() {
    let homes = ["root", "home", "Users", "work", "workspace"].map(|name| format!("/{name}/"));
    // Only a directory at the root of the file system, not `some/home/path`.
    let names = |text: &str, home: &str| {
        text.match_indices(home).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            !before.is_some_and(|char| char.is_alphanumeric() || "._-~}*>".contains(char))
        })
    };
    let rule = |texts: &[Text]| {
        let named = texts.iter().filter(|text| homes.iter().any(|home| names(&text.text, home)));
        named.map(|text| format!("{}: names a directory of one machine", text.path)).collect()
    };
    let path = format!("see {}me/notes", homes[1]);
    hold(rule, &all_texts(), &[("README.md", &path)]);
}

#[test]
fn lock_files_name_the_public_registry_alone() {
    const PUBLIC: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let rule = |texts: &[Text]| {
        let other = |text: &Text| text.text.lines().any(|line| line.starts_with("source = ") && line != PUBLIC);
        let others = texts.iter().filter(|text| text.path.ends_with("Cargo.lock") && other(text));
        others.map(|text| format!("{}: names another registry", text.path)).collect()
    };
    hold(rule, &all_texts(), &[("Cargo.lock", "source = \"registry+https://registry.example/index\"")]);
}

#[test]
fn the_book_names_every_command_and_option() {
    let page = document("docs/src/reference/commands.md");
    let help = |words: &[&str]| stdout(&run(&[words, &["--help"]].concat()));
    let undocumented = |page: &str| {
        let mut missing = Vec::new();
        let commands = help(&[]);
        let commands =
            commands.split_once("Commands:\n").and_then(|(_, rest)| rest.split_once("\n\n")).expect("commands").0;
        let commands = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
        assert!(commands.len() >= 6, "{commands:?}");
        for command in commands.into_iter().filter(|command| *command != "help") {
            if !page.contains(&format!("`wrun {command}")) {
                missing.push(command.to_owned());
            }
            let help = help(&[command]);
            let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
            let options = options.filter_map(|line| line.split([' ', ',', '.']).find(|word| word.starts_with("--")));
            missing.extend(options.filter(|option| *option != "--help" && !has_option(page, option)).map(Into::into));
        }
        missing
    };
    assert!(undocumented("").len() > 30, "too few options were found");
    assert_eq!(undocumented(&page), Vec::<String>::new(), "missing from the page of commands");
}

fn has_option(text: &str, option: &str) -> bool {
    text.match_indices(option)
        .any(|(at, _)| !text[at + option.len()..].starts_with(|next| in_name(next) || next == '-'))
}

#[test]
fn numbers_of_speed_in_documents_are_those_that_were_measured() {
    let results = document("benches/RESULTS.md");
    let measured: BTreeSet<_> = results.split_whitespace().collect();
    for (path, heading, least) in [("README.md", "## Speed", 8), ("docs/src/performance.md", "# Performance", 15)] {
        let text = document(path);
        let (_, section) = text.split_once(&format!("{heading}\n")).expect("a section");
        let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        let numbers = rows.skip(2).flat_map(|row| row.split('|').skip(2).flat_map(str::split_whitespace));
        let numbers: Vec<_> = numbers.filter(|word| word.starts_with(|first: char| first.is_ascii_digit())).collect();
        assert!(numbers.len() >= least, "{path}: {numbers:?}");
        let strangers: Vec<_> = numbers.into_iter().filter(|number| !measured.contains(number)).collect();
        assert!(strangers.is_empty(), "{path}: benches/RESULTS.md does not contain {strangers:?}");
    }
}

#[test]
fn documents_name_files_that_exist() {
    let exists = |path: &str| Path::new(ROOT).join(path).exists();
    let rule = |texts: &[Text]| {
        let mut complaints = Vec::new();
        for text in texts.iter().filter(|text| text.path.ends_with(".md")) {
            let dir = Path::new(&text.path).parent().expect("a directory");
            let quoted = text.text.split('`').skip(1).step_by(2).filter(|word| {
                ["src/", "guest-sdk/", "examples/", "tests/", "benches/", "fuzz/"]
                    .iter()
                    .any(|place| word.starts_with(place))
            });
            // A test's name follows its file's.
            let quoted = quoted.filter(|word| !word.contains(['*', ' ', '{']));
            let quoted = quoted.map(|word| PathBuf::from(word.split("::").next().expect("the file")));
            let linked = text.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
            let linked = linked.filter(|link| !link.is_empty() && !link.contains("://")).map(|link| dir.join(link));
            for path in quoted.chain(linked) {
                let path = path.to_str().expect("UTF-8");
                // Files may be relative to the crate whose page names them. Build outputs may not exist yet.
                let in_crate = dir.join(path);
                let there = exists(path) || in_crate.to_str().is_some_and(exists);
                if !there && !path.contains("/target/") {
                    complaints.push(format!("{}: {path} does not exist", text.path));
                }
            }
        }
        complaints
    };
    let bad = [("README.md", "see `src/nothing.rs`"), ("crates/ipc/README.md", "[x](nothing.rs)")];
    hold(rule, &all_texts(), &bad);
}

/// The tests that a text names, as `path/of/file.rs::name_of_test`, and that do not exist.
pub fn missing_tests(text: &str) -> Complaints {
    let named = text.split('`').skip(1).step_by(2).filter_map(|word| word.split_once(".rs::"));
    let missing = named.filter(|(path, name)| {
        let source = fs::read_to_string(Path::new(ROOT).join(path).with_extension("rs")).unwrap_or_default();
        // Only attributes may stand between `#[test]` and the name.
        let is_test =
            |before: &str| before.trim_end().rsplit("\n\n").next().is_some_and(|item| item.contains("#[test]"));
        !source.split_once(&format!("fn {name}()")).is_some_and(|(before, _)| is_test(before))
    });
    missing.map(|(path, name)| format!("{path}.rs has no test {name}")).collect()
}

#[test]
fn the_security_page_names_tests_that_exist() {
    let page = document("SECURITY.md");
    let named = page.matches(".rs::").count();
    assert!(named > 40, "only {named} tests are named");
    // Each claim names a test.
    let claims = page.split_once("| claim | shown by |").expect("the table of claims").1;
    let claims = claims.split("\n\n").next().expect("its rows").lines().filter(|line| line.starts_with("| "));
    for claim in claims {
        assert!(claim.contains(".rs::"), "no test is named for the claim: {claim}");
    }
    assert_eq!(missing_tests(&page), Complaints::new());
    for wrong in
        ["`tests/it/docs/tidy.rs::no_such_test`", "`tests/it/none.rs::code`", "`tests/it/docs/tidy.rs::sources`"]
    {
        assert_eq!(missing_tests(wrong).len(), 1, "the rule does not detect the problem in {wrong}");
    }
}
