//! `wrun map`: output formats, task limits, progress, and options set by environment variables.

use serde_json::{Value, json};

use crate::cli::kit::{Place, finish, keys, objects, ok, output, said};

/// The keys that every object has.
const ALWAYS: [&str; 7] = ["attempts", "index", "item", "seconds", "start", "status", "worker"];

fn keys_with(more: &[&'static str]) -> Vec<&'static str> {
    let mut keys = [&ALWAYS, more].concat();
    keys.sort_unstable();
    keys
}

#[test]
fn results_end_in_one_newline_unless_raw() {
    let place = Place::new();
    assert_eq!(place.map("echo", &["a", "b\n", "c"]), ok("a\nb\nc\n"));
    assert_eq!(place.map("echo", &["a", "b\n", "c", "--raw"]), ok("ab\nc"));
    let binary = output(place.wrun(&["map", "kit.wat", "--call", "binary", "a", "b"]).spawn().expect("wrun starts"));
    assert_eq!(binary.stdout, b"\xff\xfe\x00\n\xff\xfe\x00\n");
}

#[test]
fn json_objects_have_the_documented_keys() {
    let place = Place::new();
    let said = place.map("fail-f", &["--json", "-j1", "a \"b\"", "f"]);
    assert_eq!(said.code, Some(100));
    let rerun = "wrun run kit.wat --call fail-f --index 1 f";
    assert_eq!(said.stderr, format!("task 1 (f) failed: f\nrerun: {rerun}\nwrun: 1 of 2 tasks failed\n"));
    let tasks = objects(&said.stdout);
    assert_eq!(tasks.len(), 2);
    assert_eq!(keys(&tasks[0]), keys_with(&["output"]));
    assert_eq!(keys(&tasks[1]), keys_with(&["error", "rerun"]));
    assert_eq!(
        ["index", "item", "status", "output", "worker", "attempts"].map(|key| tasks[0][key].clone()),
        [json!(0), json!("a \"b\""), json!("ok"), json!("a \"b\""), json!(0), json!(1)]
    );
    assert_eq!(
        ["index", "item", "status", "error", "rerun"].map(|key| tasks[1][key].clone()),
        [json!(1), json!("f"), json!("error"), json!("f"), json!(rerun)]
    );
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    for task in &tasks {
        assert!((now - 60.0..=now).contains(&task["start"].as_f64().expect("a number")), "{task}");
        assert!((0.0..60.0).contains(&task["seconds"].as_f64().expect("a number")), "{task}");
    }
}

#[test]
fn json_holds_bytes_that_are_no_text_in_base64() {
    let place = Place::new();
    let said = place.map_lines("binary", &["--json"], b"\xff\nb\n");
    let tasks = objects(&said.stdout);
    assert_eq!((said.code, tasks.len()), (Some(0), 2));
    assert_eq!((&tasks[0]["item_base64"], &tasks[0]["item"]), (&json!("/w=="), &Value::Null));
    assert_eq!(keys(&tasks[1]), keys_with(&["output_base64"]));
    assert_eq!(tasks[1]["output_base64"], json!("//4ACg=="));
}

#[test]
fn json_tells_a_trap_with_its_backtrace() {
    let place = Place::new();
    let said = place.map("divide", &["--json", "a"]);
    let tasks = objects(&said.stdout);
    assert_eq!((said.code, tasks.len()), (Some(100), 1));
    assert_eq!(keys(&tasks[0]), keys_with(&["backtrace", "error", "rerun"]));
    assert_eq!((&tasks[0]["status"], &tasks[0]["error"]), (&json!("trap"), &json!("integer divide by zero")));
    let backtrace = tasks[0]["backtrace"].as_str().expect("text");
    let frames: Vec<&str> = backtrace.lines().collect();
    assert!(frames.len() == 2 && frames[0].ends_with("inner") && frames[1].ends_with("outer"), "{backtrace}");
}

#[test]
fn json_of_a_reduction_is_one_object_without_index_and_item() {
    let place = Place::new();
    let said = place.map("echo", &["--json", "--reduce", "cat", "a", "b"]);
    let merged = objects(&said.stdout);
    assert_eq!((said.code, merged.len()), (Some(0), 1), "{said:?}");
    assert_eq!(keys(&merged[0]), ["attempts", "output", "seconds", "start", "status", "worker"]);
    assert_eq!(merged[0]["output"], json!("ab"));
}

#[test]
fn traps_name_the_functions() {
    let place = Place::new();
    let said = place.map("divide", &["a"]);
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!((said.code, said.stdout.as_str(), lines.len()), (Some(100), "", 5), "{}", said.stderr);
    assert_eq!(lines[0], "task 0 (a) failed: trapped: integer divide by zero");
    assert!(lines[1].starts_with("    ") && lines[1].ends_with("inner"), "{}", said.stderr);
    assert!(lines[2].starts_with("    ") && lines[2].ends_with("outer"), "{}", said.stderr);
    assert_eq!(lines[3..], ["rerun: wrun run kit.wat --call divide --index 0 a", "wrun: 1 of 1 tasks failed"]);
}

#[test]
fn time_limit_stops_the_task_that_exceeds_it_and_no_other() {
    let place = Place::new();
    let late = place.map("loop-l", &["--timeout", "300ms", "-j2", "a", "loop", "b", "c"]);
    assert_eq!((late.code, late.stdout.as_str()), (Some(100), "a\nb\nc\n"));
    assert!(late.stderr.starts_with("task 1 (loop) failed: timed out after 300ms in "), "{}", late.stderr);
    let end = "\nrerun: wrun run kit.wat --call loop-l --timeout 300ms --index 1 loop\nwrun: 1 of 4 tasks failed\n";
    assert!(late.stderr.ends_with(end), "{}", late.stderr);
    let said = place.map("loop-l", &["--timeout", "300ms", "--json", "-j1", "loop", "b"]);
    let tasks = objects(&said.stdout);
    assert_eq!(tasks[0]["status"], json!("timeout"));
    assert!((0.3..5.0).contains(&tasks[0]["seconds"].as_f64().expect("a number")), "{}", tasks[0]);
    assert_eq!((&tasks[1]["status"], &tasks[1]["output"]), (&json!("ok"), &json!("b")));
}

#[test]
fn memory_limit_is_named_with_the_option_that_raises_it() {
    let place = Place::new();
    assert_eq!(place.map("grow", &["--memory", "33M", "a"]), ok(""));
    let said = place.map("grow", &["--memory", "16M", "a"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    let first = "task 0 (a) failed: it needs 33751040 bytes of memory, and the limit is 16777216 bytes; raise it with --memory\n";
    assert!(said.stderr.starts_with(first), "{}", said.stderr);
    assert!(said.stderr.ends_with("wrun: 1 of 1 tasks failed\n"), "{}", said.stderr);
}

#[test]
fn output_limit_is_named_with_the_option_that_raises_it() {
    let place = Place::new();
    let fits = place.map("zeros", &["--max-output", "64K", "--raw", "a"]);
    assert_eq!((fits.code, fits.stdout.len(), fits.stderr.as_str()), (Some(0), 64 << 10, ""));
    let said = place.map("zeros", &["--max-output", "65535", "a"]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    let first = "task 0 (a) failed: its result is longer than the limit of 65535 bytes; raise it with --max-output\n";
    assert!(said.stderr.starts_with(first), "{}", said.stderr);
    let json = objects(&place.map("zeros", &["--max-output", "1K", "--json", "a"]).stdout);
    assert_eq!(json[0]["status"], json!("limit"));
    // Also numbers.
    let sqrt = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/guests/wat/sqrt.wat");
    let said = finish(place.wrun(&["map", sqrt, "--max-output", "1", "4", "2"]));
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), "2\n"));
    let first = "task 1 (2) failed: its result is longer than the limit of 1 bytes; raise it with --max-output\n";
    assert!(said.stderr.starts_with(first), "{}", said.stderr);
}

#[test]
fn progress_is_reported_as_asked() {
    let place = Place::new();
    for none in [&[][..], &["--progress", "auto"], &["--progress", "none"]] {
        assert_eq!(place.map("echo", &[none, &["a"]].concat()), ok("a\n"), "{none:?}");
    }
    for lines in ["lines", "bar"] {
        let said = place.map("echo", &["--progress", lines, "a", "b"]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(0), "a\nb\n"));
        let reported = said.stderr.strip_prefix("done 2 of 2 | elapsed ").and_then(|rest| rest.strip_suffix("s\n"));
        assert!(reported.is_some_and(|time| !time.contains('\n')), "{}", said.stderr);
    }
    let said = place.map("fail-f", &["--progress", "json", "a", "f"]);
    let events = objects(&said.stderr);
    assert_eq!((said.code, said.stdout.as_str(), events.len()), (Some(100), "a\n", 2), "{}", said.stderr);
    assert_eq!(["event", "index", "item", "status", "error"].map(|key| events[0][key].clone()), {
        [json!("failed"), json!(1), json!("f"), json!("error"), json!("f")]
    });
    assert_eq!(["event", "tasks", "failed", "cancelled"].map(|key| events[1][key].clone()), {
        [json!("finished"), json!(2), json!(1), json!(0)]
    });
    let wrong = "wrun: invalid value 'fast' for '--progress <HOW>'; [possible values: auto, bar, lines, json, none]; --help \
                 shows all options\n";
    assert_eq!(place.map("echo", &["--progress", "fast", "a"]), said_usage(wrong));
}

fn said_usage(stderr: &str) -> crate::cli::kit::Said {
    said(2, "", stderr)
}

#[test]
fn logs_carry_the_task_they_belong_to() {
    let place = Place::new();
    assert_eq!(place.map("log", &["hello", "-j1"]), said(0, "", "task 0 (hello): hello\n"));
    let said = place.map("echo", &["-v", "a"]);
    assert!(
        said.stderr.starts_with("task 0 (a): ok in ") && said.stderr.ends_with(" on worker 0\n"),
        "{}",
        said.stderr
    );
}

#[test]
fn nothing_that_strangers_wrote_commands_the_terminal() {
    let place = Place::new();
    let hostile = "\u{1b}[2J\rx\u{202e}y";
    let shown = r"\u{1b}[2J\rx\u{202e}y";
    let rerun = r#"rerun: wrun run kit.wat --call fail --index 0 "$(printf '\033[2J\015x\342\200\256y')""#;
    let failed = format!("task 0 ({shown}) failed: {shown}\n{rerun}\nwrun: 1 of 1 tasks failed\n");
    assert_eq!(place.map("fail", &[hostile]), said(100, "", &failed));
    assert_eq!(place.map("log", &[hostile]), said(0, "", &format!("task 0 ({shown}): {shown}\n")));
    let lines = place.map("fail", &["a\nwrun: all is well"]);
    let rerun = r#"rerun: wrun run kit.wat --call fail --index 0 "$(printf 'a\012wrun: all is well')""#;
    let indented = "task 0 (a\\nwrun: all is well) failed: a\n    wrun: all is well\n";
    assert_eq!(lines, said(100, "", &format!("{indented}{rerun}\nwrun: 1 of 1 tasks failed\n")));
    let long = place.map("fail", &[&"x".repeat(60_000)]);
    assert!(long.stderr.lines().next().expect("a line").starts_with(&format!("task 0 ({}...", "x".repeat(38))));
}

#[test]
fn options_can_be_environment_variables_and_the_command_line_wins() {
    let place = Place::new();
    let with = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = place.wrun(&[&["map", "kit.wat", "--call", "loop-l"], args].concat());
        command.envs(variables.iter().copied());
        finish(command)
    };
    assert_eq!(with(&[("WRUN_TAG", "1")], &["a"]), ok("a\ta\n"));
    for off in ["0", "false", ""] {
        assert_eq!(with(&[("WRUN_TAG", off)], &["a"]), ok("a\n"), "WRUN_TAG={off}");
    }
    let late = with(&[("WRUN_TIMEOUT", "100ms")], &["loop"]).stderr;
    assert!(late.starts_with("task 0 (loop) failed: timed out after 100ms"), "{late}");
    assert!(late.contains("\nrerun: wrun run kit.wat --call loop-l --timeout 100ms --index 0 loop\n"), "{late}");
    let late = with(&[("WRUN_TIMEOUT", "1ms")], &["loop", "--timeout", "200ms"]).stderr;
    assert!(late.starts_with("task 0 (loop) failed: timed out after 200ms"), "{late}");
    assert!(late.contains("\nrerun: wrun run kit.wat --call loop-l --timeout 200ms --index 0 loop\n"), "{late}");
    assert_eq!(with(&[("WRUN_JOBS", "0")], &["a"]).code, Some(2));
    assert_eq!(with(&[("WRUN_JOBS", "0")], &["a", "--jobs", "1"]), ok("a\n"));
    assert_eq!(with(&[("WRUN_PROGRESS", "lines")], &["a", "--progress", "none"]), ok("a\n"));
    assert_eq!(with(&[("WRUN_CALL", "fail")], &["a"]), ok("a\n"));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let place = Place::new();
    let help = place.says(&["map", "--help"]).stdout;
    let words = help.split_whitespace().map(|word| word.trim_end_matches([',', '.']));
    let options: Vec<&str> = words.filter_map(|word| word.strip_prefix("--")).filter(|name| !name.is_empty()).collect();
    assert!(options.contains(&"jobs") && options.contains(&"tag") && options.len() > 40, "{options:?}");
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "a"]);
    command.envs(options.iter().map(|name| (format!("WRUN_{}", name.to_uppercase().replace('-', "_")), "")));
    assert_eq!(finish(command), ok("a\n"));
}

#[test]
fn explicit_option_wins_over_a_variable_that_it_excludes() {
    let place = Place::new();
    let with = |variable: &str, value: &str, args: &[&str]| {
        let mut command = place.wrun(&[&["map", "kit.wat", "--call", "echo"], args].concat());
        command.env(variable, value);
        finish(command)
    };
    assert_eq!(with("WRUN_JSON", "1", &["a", "--tag"]), ok("a\ta\n"));
    assert_eq!(with("WRUN_ITEMS", "/nowhere", &["a"]), ok("a\n"));
}

#[test]
fn wrong_variables_are_named() {
    let place = Place::new();
    let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "a"]);
    command.env("WRUN_JOBS", "many");
    let said = finish(command);
    assert_eq!((said.code, said.stdout.as_str()), (Some(2), ""));
    assert!(said.stderr.contains("WRUN_JOBS"), "{}", said.stderr);
}
