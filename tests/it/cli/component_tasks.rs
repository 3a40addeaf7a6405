//! Tasks of components on the command line.

use crate::cli::kit::{Place, objects, ok};
use crate::support::guest;

/// Text with words of many lengths, so that pieces and lists end inside words. It is longer than two lists of 1 MiB.
fn text() -> String {
    let words = (0..400_000u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761) % 6000));
    words.zip([" ", ".", "\n", "-", " é "].iter().cycle()).map(|(word, gap)| word + gap).collect()
}

#[test]
fn a_component_counts_words_as_a_module_does() {
    let place = Place::new();
    place.file("text", text());
    let [module, component] = [guest("wordcount"), guest("wordcount-component")];
    let count = |guest: &[&str], how: &[&str]| {
        let said = place.says(&[&["map"], guest, how].concat());
        assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{guest:?} {how:?}");
        said.stdout
    };
    for how in [&["--files", "text"][..], &["--split", "300K", "text", "--reduce", "merge"]] {
        let expected = count(&[&module, "--call", "count"], how);
        assert!(expected.lines().count() > 1000 && count(&[&component], how) == expected, "{how:?}");
    }
    let whole = place.says(&["run", &component, "--file", "text"]);
    assert!(whole.code == Some(0) && whole.stdout == count(&[&component], &["--files", "text"]));
}

#[test]
fn it_is_cached_resumed_and_run_again() {
    let place = Place::new();
    place.file("data", "some words");
    let probe = guest("probe-component");
    let run = |extra: &[&str]| place.says(&[&["map", &probe, "-i", "d=data", "inputs", "argument"], extra].concat());
    let expected = "[d: some words of 10]\nargument of 1\n";
    assert_eq!(run(&[]), ok(expected));
    let cached = ["--cache", "--summary"];
    assert_eq!((run(&cached).stdout, run(&cached).stdout), (expected.to_owned(), expected.to_owned()));
    assert!(run(&cached).stderr.contains("(2 from earlier runs)"), "{}", run(&cached).stderr);
    assert_eq!(run(&["--joblog", "log"]), ok(expected));
    assert_eq!(run(&["--joblog", "log", "--resume"]), ok(expected));
    let said = place.says(&["map", &probe, "--out", "out", "--slice", "4", "slice-write 3 ab"]);
    let rerun = said.stderr.lines().find_map(|line| line.strip_prefix("rerun: wrun ")).expect("how to run it again");
    assert!(rerun.ends_with("probe-component.wasm --out out --slice 4 --index 0 'slice-write 3 ab'"), "{rerun}");
}

#[test]
fn inspect_says_what_it_offers() {
    let place = Place::new();
    let said = place.says(&["inspect", &guest("wordcount-component")]);
    assert_eq!(said.code, Some(0));
    for part in [
        "  task      merge\n",
        "  task      run\n",
        "  wrun:task: inputs@0.1.0, output@0.1.0\n",
        ".wasm --files FILE...\n",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
    let described = &objects(&place.says(&["inspect", "--json", &guest("wordcount-component")]).stdout)[0];
    assert_eq!((&described["component"], &described["command"]), (&true.into(), &false.into()));
    // Precompiled code is described by wasmtime.
    let compiled = place.says(&["compile", &guest("wordcount-component"), "--output", "words.cwasm"]);
    assert_eq!(compiled.code, Some(0), "{}", compiled.stderr);
    place.file("text", "b a b");
    let said = place.says(&["map", "words.cwasm", "--allow-precompiled", "--files", "text"]);
    assert_eq!(said, ok("a 1\nb 2\n"));
}

#[test]
fn inspect_says_how_to_run_each_of_several_tasks() {
    let place = Place::new();
    place.file(
        "two.wat",
        r#"(component
            (core module $m (memory (export "memory") 1) (func (export "f") (result i32) i32.const 0) (func (export "g")))
            (core instance $i (instantiate $m))
            (func $f (result (result (error string))) (canon lift (core func $i "f") (memory (core memory $i "memory"))))
            (func $g (canon lift (core func $i "g")))
            (export "one" (func $f)) (export "two" (func $f)) (export "other" (func $g)))"#,
    );
    let said = place.says(&["inspect", "two.wat"]);
    let how = said.stdout.split_once("Run it with:\n").map(|(_, how)| how);
    assert_eq!(how, Some("  wrun map two.wat --call one ITEM...\n  wrun map two.wat --call two ITEM...\n"), "{said:?}");
}

#[test]
fn files_that_it_does_not_use_are_refused() {
    let place = Place::new();
    place.file("data", "some words");
    let words = guest("wordcount-component");
    for (options, says) in [
        (&["--out", "out", "--slice", "4", "x"][..], "writes to no output file (it imports no wrun:task/output-slice)"),
        (&["--shared", "n=numbers:8", "x"], "writes to no shared memory (it imports no wrun:task/shared)"),
        (&["--reuse", "x"], "is a component, and each of its tasks needs an instance of its own; leave --reuse out"),
        (
            &["--input-mode", "cow", "-i", "d=data", "x"],
            "is a component, and its tasks read copies of inputs: none is mapped",
        ),
    ] {
        let said = place.says(&[&["map", &words], options].concat());
        assert!(said.code == Some(2) && said.stderr.contains(says), "{options:?}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
    place.file(
        "none.wat",
        r#"(component
            (core module $m (memory (export "memory") 1) (func (export "run") (result i32) i32.const 0))
            (core instance $i (instantiate $m))
            (func (export "run") (result (result (error string))) (canon lift (core func $i "run") (memory (core memory $i "memory")))))"#,
    );
    assert_eq!(place.says(&["map", "none.wat", "x"]), ok(""), "a task may import nothing");
    for (options, code, says) in [
        (&["--files", "data"][..], 2, "reads no inputs (it imports neither wrun:task/inputs nor wasi:cli/stdin)"),
        (&["-i", "d=data", "x"], 2, "reads no inputs that tasks share (it imports no wrun:task/inputs)"),
        (&["x", "--reduce", "run"], 1, "has no task besides \"run\", which merges results"),
    ] {
        let said = place.says(&[&["map", "none.wat"], options].concat());
        assert!(said.code == Some(code) && said.stderr.contains(says), "{options:?}: {said:?}");
    }
}
