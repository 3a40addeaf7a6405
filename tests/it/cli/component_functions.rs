//! Functions of components, called by name with WAVE text.

use crate::cli::kit::{Place, Said, objects};

fn place() -> Place {
    let place = Place::new();
    place.file("f.wat", include_str!("components/functions.wat"));
    place
}

fn map(place: &Place, function: &str, options: &[&str], items: &[&str]) -> Said {
    place.says(&[&["map", "f.wat", "--call", function], options, items].concat())
}

/// The output of a run without any failure.
fn printed(said: Said) -> String {
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{said:?}");
    said.stdout
}

#[test]
fn values_of_all_types_come_back_as_text() {
    let place = place();
    assert_eq!(printed(map(&place, "add", &[], &["1, 2", "4294967295,1"])), "3\n0\n");
    assert_eq!(printed(map(&place, "echo", &[], &[r#""é \"x\"\n""#, r#""""#])), "\"é \\\"x\\\"\\n\"\n\"\"\n");
    let value = "{words: [\"a\", \"\"], pair: some((255, 'é')), shape: circle(1.5), color: green, sides: {left, right}, \
                 ended: err(-1), is-it: true, small: -128, real: nan, large: 18446744073709551615, more: (1, -1, 2)}";
    assert_eq!(printed(map(&place, "same", &[], &[value])), format!("{value}\n"));
    let value = "{words: [], shape: nothing, color: red, sides: {}, ended: ok(\"\"), is-it: false, small: 0, real: -inf, \
                 large: 0, more: (0, 0, 0)}";
    assert_eq!(printed(map(&place, "same", &[], &[value])), format!("{value}\n"), "an option may be left out");
}

#[test]
fn run_takes_a_value_from_each_word() {
    let place = place();
    assert_eq!(printed(place.says(&["run", "f.wat", "--call", "add", "1", "2"])), "3\n");
    assert_eq!(printed(place.says(&["run", "f.wat", "--call", "add", "1, 2"])), "3\n");
    let said = place.says(&["run", "f.wat", "--call", "trap"]);
    assert!(said.code == Some(100) && said.stderr.contains("unreachable"), "{said:?}");
}

#[test]
fn functions_of_interfaces_have_long_and_short_names() {
    let place = place();
    for name in ["acme:text/words@1.0.0#shout", "acme:text/words#shout", "acme:text/words.shout@1.0.0", "shout"] {
        assert_eq!(printed(map(&place, name, &[], &["\"x\""])), "\"x\"\n", "{name}");
    }
    let said = map(&place, "count", &[], &["1, 1"]);
    let both = "has several functions \"count\": acme:text/words@1.0.0#count, acme:text/letters@1.0.0#count; choose";
    assert!(said.code == Some(1) && said.stderr.contains(both), "{said:?}");
    assert!(said.stderr.contains("--call"), "{said:?}");
}

#[test]
fn text_that_does_not_fit_is_refused_before_any_task_runs() {
    let place = place();
    for (function, item, says) in [
        (
            "add",
            "1, x",
            "does not fit add(a: u32, b: u32) -> u32: parameter b (u32), at character 4 (\"x\"): invalid value",
        ),
        ("add", "1", "parameter b (u32) is missing"),
        ("add", "1, 2, 3", "it takes 2 values, 3 given"),
        (
            "echo",
            "x",
            "parameter text (string), at character 1 (\"x\"): invalid value type; write text in double quotes",
        ),
        ("echo", "\"x", "parameter text (string), at character 1"),
        ("same", "{words: [1]}", "parameter value (record { words: list<string>"),
    ] {
        let said = map(&place, function, &[], &[item]);
        assert!(said.code == Some(2) && said.stderr.contains(says), "{item}: {said:?}");
        assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    }
    let said = place.says(&["run", "f.wat", "--call", "add", "1"]);
    assert!(said.code == Some(2) && said.stderr.contains("parameter b (u32) is missing"), "{said:?}");
}

#[test]
fn items_from_a_pipe_fail_alone() {
    let place = place();
    let said = place.says_to(&["map", "f.wat", "--call", "add", "--json"], "1,2\n1\n3,4\n");
    let ended = objects(&said.stdout);
    assert_eq!((&ended[0]["output"], &ended[2]["output"]), (&"3".into(), &"7".into()), "{said:?}");
    assert_eq!((&ended[1]["status"], &ended[1]["error"]), (&"error".into(), &"parameter b (u32) is missing".into()));
}

#[test]
fn an_err_is_a_failure() {
    let place = place();
    let said = map(&place, "check", &["--json"], &["7", "0"]);
    let ended = objects(&said.stdout);
    assert_eq!(ended[0]["output"], "ok(7)");
    assert_eq!((&ended[1]["status"], &ended[1]["error"]), (&"error".into(), &"err(\"zero\")".into()));
}

#[test]
fn results_are_bounded() {
    let place = place();
    assert_eq!(printed(map(&place, "bytes", &[], &["3"])), "[0, 0, 0]\n");
    let said = map(&place, "bytes", &["--json", "--max-output", "1000"], &["1000"]);
    let ended = &objects(&said.stdout)[0];
    assert_eq!((&ended["status"], &ended["hint"]), (&"limit".into(), &"raise it with --max-output".into()), "{ended}");
    // Each byte would be a value of its own in the worker.
    let said = map(&place, "bytes", &["--json"], &["100000000"]);
    let ended = &objects(&said.stdout)[0];
    assert_eq!(ended["status"], "limit", "{ended}");
    assert!(ended["error"].as_str().expect("words").contains("one call of it passes on more"), "{ended}");
}

#[test]
fn what_cannot_be_called_is_explained() {
    let place = place();
    for (function, says) in [
        ("handle", "cannot be called by \"handle\": its parameter of has a handle of a resource"),
        ("ad", "has no task or function \"ad\": did you mean \"add\"? it offers functions add, echo, same, bytes"),
    ] {
        let said = map(&place, function, &[], &["1"]);
        assert!(said.code == Some(1) && said.stderr.contains(says), "{function}: {said:?}");
    }
    let said = place.says(&["map", "f.wat", "1"]);
    assert!(said.stderr.contains("has several functions (add, echo, "), "{said:?}");
    place.file(
        "one.wat",
        r#"(component (core module $m (func (export "f"))) (core instance $m (instantiate $m))
            (func $f (canon lift (core func $m "f"))) (export "f" (func $f)))"#,
    );
    let said = place.says(&["map", "one.wat", "--reduce", "f", ""]);
    assert!(
        said.stderr.contains("module one.wat has nothing to call besides \"f\": it offers functions f"),
        "{said:?}"
    );
    let said = map(&place, "add", &["--reduce", "add"], &["1, 2"]);
    assert!(said.stderr.contains("cannot merge"), "{said:?}");
    let said = map(&place, "add", &["--reuse"], &["1, 2"]);
    assert!(said.stderr.contains("needs an instance of its own"), "{said:?}");
}

#[test]
fn inspect_shows_signatures_and_wit() {
    let place = place();
    let text = printed(place.says(&["inspect", "f.wat"]));
    for part in [
        "  function  add(a: u32, b: u32) -> u32\n",
        "  function  acme:text/words@1.0.0#shout(text: string) -> string\n",
        "\nCannot be called:\n  handle: its parameter of has a handle of a resource\n",
        "  wrun map f.wat --call add 'A, B'...\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let described = &objects(&printed(place.says(&["inspect", "--json", "f.wat"])))[0];
    assert_eq!(described["functions"][0]["name"], "add");
    assert_eq!(described["functions"][0]["params"][1], serde_json::json!({"name": "b", "ty": "u32"}));
    assert_eq!(described["wit"], serde_json::Value::Null, "a world of WIT exports no types");
    let words = r#"(component
        (core module $m (func (export "f") (param i32)))
        (core instance $m (instantiate $m))
        (func $f (param "times" u32) (canon lift (core func $m "f")))
        (export "plain" (func $f))
        (instance $words (export "shout" (func $f)))
        (export "acme:text/words@1.0.0" (instance $words)))"#;
    place.file("words.wat", words);
    let text = printed(place.says(&["inspect", "words.wat"]));
    let described = &objects(&printed(place.says(&["inspect", "--json", "words.wat"])))[0];
    for part in ["export acme:text/words@1.0.0;\n", "export plain: func(times: u32);\n", "shout: func(times: u32);\n"] {
        assert!(text.contains(part), "{part}: {text}");
        assert!(described["wit"].as_str().expect("WIT").contains(part), "{part}: {described}");
    }
}

#[test]
fn a_trap_has_its_functions_by_name() {
    let place = place();
    let said = map(&place, "trap", &["--json"], &[""]);
    let ended = &objects(&said.stdout)[0];
    assert_eq!(ended["status"], "trap", "{ended}");
    assert!(ended["backtrace"].as_str().expect("a stack trace").contains("inner"), "{ended}");
}
