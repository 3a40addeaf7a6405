//! Modules of other languages' own compilers. `make languages` builds them; without them, these tests say so and pass, except
//! in CI.

use std::path::PathBuf;

use crate::cli::kit::{Place, Said, objects};
use crate::support::in_ci;

/// A module that `make languages` builds, if it is there.
fn module(name: &str) -> Option<String> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/guests/target/wasm").join(name).with_extension("wasm");
    if path.exists() {
        return Some(path.to_str().expect("a path in UTF-8").to_owned());
    }
    assert!(!in_ci(), "{} is missing: run `make languages`", path.display());
    eprintln!("skipped: {name}.wasm is missing; `make languages` builds it");
    None
}

/// Text with words of many lengths, so that pieces and chunks end inside words. It is longer than two chunks of 1 MiB.
fn text() -> Vec<u8> {
    let mut seed = 1u32;
    let mut text = Vec::new();
    while text.len() < 2_500_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = format!("{:x}", (seed >> 8) % 5000 * (1 + (seed >> 28)));
        text.extend_from_slice(word.as_bytes());
        text.push(b" .\n\xc3-"[(seed >> 24) as usize % 5]);
    }
    text
}

#[test]
fn word_counts_of_all_languages_agree() {
    let place = Place::new();
    place.file("text", text());
    let count = |module: &str, how: &[&str]| {
        let said = place.says(&[&["map", module, "--call", "count"], how].concat());
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{module} {how:?}");
        said.stdout
    };
    let rust = crate::support::guest("wordcount");
    // Whole, so that chunks end inside words, and in pieces that are merged.
    let whole: &[&str] = &["--files", "text"];
    let pieces: &[&str] = &["--split", "300K", "text", "--reduce", "merge"];
    let expected = count(&rust, whole);
    assert!(expected.lines().count() > 1000 && expected == count(&rust, pieces));
    for name in ["wordcount-c", "wordcount-cpp", "wordcount-zig", "wordcount-go", "wordcount-as"] {
        let Some(module) = module(name) else { continue };
        for how in [whole, pieces, &[pieces, &["--reuse"]].concat()] {
            assert!(count(&module, how) == expected, "{name} {how:?}");
        }
    }
    // Each task of a component has an instance of its own.
    for name in ["wordcount-py", "wordcount-js"] {
        let Some(module) = module(name) else { continue };
        for how in [whole, pieces] {
            assert!(count(&module, how) == expected, "{name} {how:?}");
        }
    }
    for (name, script) in [("quickjs", "quickjs/wordcount.js"), ("lua", "lua/wordcount.lua")] {
        let Some(module) = module(name) else { continue };
        let script = format!("script={}/examples/guests/{script}", env!("CARGO_MANIFEST_DIR"));
        for how in [whole, pieces] {
            let said = place.says(&[&["map", &module, "--call", "run", "-i", &script], how].concat());
            assert!(said.stdout == expected, "{name} {how:?}: {}", said.stderr);
        }
    }
}

/// Runs scripts in an interpreter: one that uses all it is given, then wrong ones with their messages.
fn runs_scripts(interpreter: &str, script: &str, wrong: [(&str, &str); 2]) {
    let Some(module) = module(interpreter) else { return };
    let place = Place::new();
    place.file("f", "text");
    place.file("script", script);
    let run = &["map", &module, "--call", "run", "-i", "script=script", "-i", "more=f", "--files", "f"][..];
    let said = place.says(run);
    assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(0), "f: text text\n", "task 0 (f): at 0\n"));
    let said = place.says(&[run, &["f", "--reduce", "merge"]].concat());
    assert!(said.code == Some(100) && said.stderr.contains("no 2\n"), "{}", said.stderr);
    let missing = ("", "the script has no function run\n");
    for (script, message) in wrong.into_iter().chain([missing]) {
        place.file("script", script);
        let said = place.says(&["map", &module, "--call", "run", "-i", "script=script", "x"]);
        assert!(said.code == Some(100) && said.stderr.contains(message), "{}", said.stderr);
    }
    let said = place.says(&["map", &module, "--call", "run", "x"]);
    assert!(said.code == Some(100) && said.stderr.contains("\"script\""), "{}", said.stderr);
}

#[test]
fn scripts_in_javascript_see_their_task_and_fail_with_a_message() {
    let script = "function run([own, shared], item, index) {\n  wrun.log(`at ${index}`);\n  return `${item}: ${own} ${shared}`;\n}\n\
                  function merge(results) {\n  throw new Error(`no ${results.length}`);\n}";
    let syntax = "failed: Error: unexpected token in expression: ''\n        at eval_script:1:26\n";
    let thrown =
        ("function run() {\n  throw new Error('bad');\n}", "failed: Error: bad\n        at run (eval_script:2:");
    runs_scripts("quickjs", script, [("function run() { return 1", syntax), thrown]);
}

#[test]
fn scripts_in_lua_see_their_task_and_fail_with_a_message() {
    let script = "function run(inputs, item, index)\n  wrun.log('at ' .. index)\n  \
                  return item .. ': ' .. inputs[1] .. ' ' .. inputs[2]\nend\n\
                  function merge(results) error('no ' .. #results, 0) end";
    let syntax = ("function run()", "failed: syntax error: script:1: 'end' expected near <eof>\n");
    // An error that is caught jumps over calls of the interpreter's own.
    let thrown = "function run() assert(not pcall(string.rep)) assert(not pcall(wrun.log))\n  error('bad')\nend";
    runs_scripts("lua", script, [syntax, (thrown, "failed: runtime error: script:2: bad\n")]);
}

#[test]
fn the_packages_do_what_they_say() {
    for name in ["package-go", "library-as", "package-zig"] {
        let Some(module) = module(name) else { continue };
        let place = Place::new();
        place.file("data", text());
        let size = text().len();
        let end = String::from_utf8_lossy(&text()[size - 5..]).into_owned();
        // More than is mapped at a time.
        let options =
            ["--call", "all", "-i", "data=data", "--out", "out", "--slice", "1500000", "--json", "abc", "xyz"];
        let said = place.says(&[&["map", &module], &options[..]].concat());
        let ended = objects(&said.stdout);
        assert_eq!(said.code, Some(0), "{name}: {said:?}");
        for (index, task) in ended.iter().enumerate() {
            assert_eq!(task["output"], format!("{end} {size}"), "{name}");
            let log = format!("task {index}");
            assert!(said.stderr.contains(&log), "{name}: {}", said.stderr);
        }
        let slices = std::fs::read(place.path().join("out")).expect("the file");
        for (slice, arg) in slices.chunks(1_500_000).zip(["abc", "xyz"]) {
            let middle = arg.repeat(500_000);
            assert_eq!(slice[0], 0, "{name}");
            assert!(slice[1..1_499_999] == middle.as_bytes()[..1_499_998], "{name}");
            assert_eq!(slice[1_499_999], arg.as_bytes()[0], "{name}");
        }
        let said = place.says(&["map", &module, "--call", "fails", "x"]);
        assert!(said.stderr.contains("failed: line 3: not a number\n"), "{name}: {}", said.stderr);
    }
    if let Some(module) = module("package-zig") {
        let says = |task: &str| Place::new().says(&["map", &module, "--call", task, "x"]);
        assert!(says("panics").stderr.contains("trapped: a short argument"), "{}", says("panics").stderr);
        assert!(says("runs_out").stderr.contains("failed: OutOfMemory"), "{}", says("runs_out").stderr);
        assert_eq!(says("nothing").code, Some(0));
    }
    let Some(module) = module("library-as") else { return };
    let said = Place::new().says(&["map", &module, "--call", "aborts", "x"]);
    assert!(said.stderr.contains("trapped: an assertion (assembly/library.ts:"), "{}", said.stderr);
}

/// Runs a module that maps 4 bytes into new pages, lets its heap grow by 8 MiB, and returns the bytes.
fn window(module: &str, mode: &str) -> Said {
    let place = Place::new();
    place.file("data", "abcdefgh");
    place.says(&["map", module, "--raw", "--input-mode", mode, "--files", "data"])
}

#[test]
fn allocators_that_keep_to_their_own_memory_leave_windows_as_they_are() {
    for name in ["window-c", "window-zig"] {
        let Some(module) = module(name) else { continue };
        for mode in ["ro", "cow"] {
            let said = window(&module, mode);
            assert_eq!((said.code, &*said.stdout, &*said.stderr), (Some(0), "abcd", ""), "{name} {mode}");
        }
    }
}

#[test]
fn allocators_that_take_all_memory_are_refused_or_fail_their_task() {
    // Nothing in these modules shows their language.
    for name in ["window-as-incremental", "window-as-minimal", "window-as-stub"] {
        let Some(module) = module(name) else { continue };
        for (mode, message) in [("ro", "wrote to read-only input"), ("cow", "it used memory next to a window")] {
            let said = window(&module, mode);
            assert!(said.code == Some(100) && said.stdout.is_empty(), "{name} {mode}: {said:?}");
            assert!(said.stderr.contains(message), "{name} {mode}: {}", said.stderr);
        }
    }
    for (name, language) in
        [("window-go", "Go"), ("window-as-runtime", "AssemblyScript"), ("window-as-debug", "AssemblyScript")]
    {
        let Some(module) = module(name) else { continue };
        let said = window(&module, "cow");
        let message = format!(
            "wrun: module {name}.wasm imports wrun_v1::input_map, and {language}'s allocator would take the mapped pages for its own: \
             call input_read or input_map_at instead\n"
        );
        assert_eq!((said.code, said.stdout.as_str(), said.stderr), (Some(1), "", message));
    }
}

#[test]
fn go_is_recognized_without_its_custom_sections() {
    let Some(module) = module("window-go") else { return };
    let bytes = std::fs::read(module).expect("the module");
    let place = Place::new();
    place.file("data", "abcdefgh");
    let path = place.file("stripped.wasm", without_custom_sections(&bytes));
    let said = place.says(&["map", path.to_str().expect("UTF-8"), "--files", "data"]);
    assert!(said.stderr.contains("and Go's allocator would take"), "{}", said.stderr);
}

/// A module without its custom sections, as `wasm-opt` and other tools leave it.
fn without_custom_sections(module: &[u8]) -> Vec<u8> {
    let (header, mut rest) = module.split_at(8);
    let mut kept = header.to_vec();
    while let [id, after @ ..] = rest {
        let digits = after.iter().position(|byte| byte & 128 == 0).expect("a number") + 1;
        let len = after[..digits].iter().rev().fold(0, |len, byte| len << 7 | usize::from(byte & 127));
        let (section, behind) = rest.split_at(1 + digits + len);
        if *id != 0 {
            kept.extend_from_slice(section);
        }
        rest = behind;
    }
    kept
}
