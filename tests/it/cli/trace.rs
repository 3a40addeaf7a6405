//! `--trace`: what each worker did, and when.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::cli::kit::{Place, Said, output, said, texts};
use crate::support::{Flag, worker_that_maps};

/// The events of the file `trace`, after checking its slices and names.
fn events(place: &Place) -> Vec<Value> {
    let text = std::fs::read(place.path().join("trace")).expect("a trace");
    check(serde_json::from_slice(&text).expect("JSON"))
}

/// Checks that each event has the fields that the format requires, and that the slices of a row have names and do not overlap.
fn check(events: Vec<Value>) -> Vec<Value> {
    let mut ends: HashMap<u64, f64> = HashMap::new();
    for event in &events {
        let (tid, phase) = (event["tid"].as_u64().expect("a thread"), event["ph"].as_str().expect("a phase"));
        assert!(event["name"].is_string() && event["pid"] == 1, "{event}");
        match phase {
            "M" if event["name"] == "thread_name" => {
                assert_eq!(event["args"]["name"], format!("worker {}", tid - 1));
                ends.insert(tid, 0.0);
            }
            "M" => assert_eq!(event["name"], "process_name"),
            "X" => {
                let (start, len) = (event["ts"].as_f64().expect("µs"), event["dur"].as_f64().expect("µs"));
                let end = ends.get_mut(&tid).expect("a row that was named");
                // Numbers are rounded to the precision of a double: microseconds with at least three decimals.
                assert!(start >= *end - 0.001 && len >= 0.0, "{event}: the one before ended at {end}");
                *end = start + len;
            }
            "i" => assert!(event["s"] == "t" || event["s"] == "p", "{event}"),
            _ => assert_eq!(phase, "C"),
        }
    }
    events
}

/// The events of this phase.
fn of<'a>(events: &'a [Value], phase: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["ph"] == phase).collect()
}

fn map(place: &Place, task: &str, args: &[&str]) -> Said {
    place.map(task, &[&["--trace", "trace"], args].concat())
}

#[test]
fn each_task_is_a_slice_in_its_workers_row() {
    let place = Place::new();
    let items: Vec<String> = (0..3000).map(|item| item.to_string()).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    assert_eq!(map(&place, "echo", &[&["-j2"], &items[..]].concat()).code, Some(0));
    let events = events(&place);
    assert_eq!(events[0]["args"]["name"], "wrun map kit.wat");
    let slices = of(&events, "X");
    let mut indices: Vec<u64> = slices.iter().filter_map(|slice| slice["args"]["index"].as_u64()).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..3000).collect::<Vec<_>>());
    let seven = slices.iter().find(|slice| slice["args"]["index"] == 7).expect("its slice");
    assert_eq!(seven["name"], "task 7 (7)");
    assert_eq!(seven["args"], serde_json::json!({ "index": 7, "item": "7", "status": "ok", "attempt": 1 }));
    assert_eq!(of(&events, "C").last().expect("a count")["args"]["done"], 3000);
}

#[test]
fn failures_retries_and_merges_are_there() {
    let place = Place::new();
    let args = ["--reuse", "-j1", "--retries", "1", "--retry-delay", "1ms", "2"];
    assert_eq!(map(&place, "pass-on-call", &args).code, Some(0));
    let all = events(&place);
    let attempts: Vec<&Value> = of(&all, "X").iter().map(|slice| &slice["args"]["attempt"]).collect();
    assert_eq!(attempts, [1, 2]);
    let instants: Vec<&Value> = of(&all, "i").iter().map(|instant| &instant["name"]).collect();
    assert_eq!(instants, ["error", "retry"]);

    assert_eq!(map(&place, "echo", &["--reduce", "join", "a", "b"]).code, Some(0));
    assert_eq!(of(&events(&place), "X").last().expect("a slice")["name"], "merge");

    assert_eq!(map(&place, "divide", &["x\u{1b}[2J\n\"<"]).code, Some(100));
    let all = events(&place);
    assert_eq!(of(&all, "X")[0]["args"]["item"], "x\u{1b}[2J\n\"<", "as it is, in JSON's escapes");
    assert_eq!(of(&all, "X")[0]["name"], "task 0 (x\\u{1b}[2J\\n\"<)");
    assert_eq!(of(&all, "i")[0]["name"], "trap");
    let text = std::fs::read_to_string(place.path().join("trace")).expect("a trace");
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn an_interrupted_or_killed_run_leaves_a_whole_trace() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let place = Place::new();
        let flag = Flag::new();
        let input = format!("flag={}", flag.path().display());
        let args = ["map", "kit.wat", "--call", "wait-w", "-j1", "--trace", "trace", "-i", &input, "a", "wait", "wb"];
        let mut child = place.wrun(&args).spawn().expect("wrun starts");
        worker_that_maps(flag.path());
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).expect("a signal");
        if signal == rustix::process::Signal::INT {
            // The run has seen the signal.
            let mut line = String::new();
            BufReader::new(child.stderr.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
            assert!(line.starts_with("wrun: interrupted"), "{line}");
            flag.raise();
        }
        let code = texts(output(child)).code;
        let slices = of(&events(&place), "X").len();
        match signal {
            rustix::process::Signal::INT => assert_eq!((code, slices), (Some(130), 2)),
            _ => assert_eq!(code, None),
        }
    }
}

#[test]
fn a_trace_goes_into_a_pipe_as_well() {
    let place = Place::new();
    let args = ["map", "kit.wat", "--call", "zeros", "--trace", "/dev/stderr", "--progress", "none", "a", "b"];
    let mut child = place.wrun(&args).stdout(Stdio::null()).spawn().expect("wrun starts");
    let mut text = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
    assert!(child.wait().expect("an end").success());
    assert_eq!(of(&check(serde_json::from_str(&text).expect("JSON")), "X").len(), 2);
}

#[test]
fn a_trace_that_cannot_be_written_is_named_and_the_results_are_all_there() {
    let place = Place::new();
    let items: Vec<String> = (0..2000).map(|item| item.to_string()).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let full = place.map("echo", &[&["--trace", "/dev/full"], &items[..]].concat());
    let problem =
        "wrun: trace \"/dev/full\" cannot be written, and is incomplete: No space left on device (os error 28)\n";
    assert_eq!(full, said(1, "", problem), "it is known before the first task runs");

    // A reader that goes away after the first bytes.
    let args =
        [&["map", "kit.wat", "--call", "echo", "--trace", "/dev/stderr", "--progress", "none"], &items[..]].concat();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut child = place.wrun(&args).stderr(writer).spawn().expect("wrun starts");
    let mut first = [0; 10];
    (&reader).read_exact(&mut first).expect("a beginning");
    drop(reader);
    let mut results = String::new();
    child.stdout.take().expect("a pipe").read_to_string(&mut results).expect("text");
    assert_eq!((results.lines().count(), child.wait().expect("an end").code()), (2000, Some(1)));

    let nowhere = place.map("echo", &["--trace", "no/where", "a"]);
    let problem = "wrun: cannot write trace \"no/where\": No such file or directory (os error 2)\n";
    assert_eq!(nowhere, said(1, "", problem));
}

#[test]
fn a_run_whose_results_nobody_wants_any_more_leaves_a_whole_trace() {
    let place = Place::new();
    let args = ["map", "kit.wat", "--call", "echo", "-j1", "--trace", "trace", "a", "b"];
    let mut command = place.wrun(&args);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = command.stdout(writer).spawn().expect("wrun starts");
    assert_eq!(texts(output(child)).code, Some(0));
    assert!(!of(&events(&place), "X").is_empty());
}

/// Runs 20,000 tasks in a shell that first limits the size of files to 2 MiB (the rings of workers need more than 1), and then prints `trace`.
fn with_small_files(place: &Place, setup: &str, trace: &str) -> Said {
    // The module is compiled and cached before.
    assert_eq!(place.map("echo", &["a"]).code, Some(0));
    let script = format!(
        r#"{setup} ulimit -f 4096; seq 20000 | "$0" map kit.wat --call echo --progress none --trace {trace} > results; echo $? $(wc -l < results); cat {trace}"#
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &script, crate::support::WRUN]).current_dir(place.path());
    command.env("WRUN_CACHE_DIR", crate::support::cache_dir());
    texts(command.output().expect("a shell"))
}

#[test]
fn a_trace_for_which_there_is_no_room_is_whole_up_to_there() {
    for (setup, trace) in [
        ("", "trace"),
        // A file that cannot be replaced, because it has no name any more.
        ("exec 3<>nameless; rm nameless;", "/dev/fd/3"),
    ] {
        let place = Place::new();
        let said = with_small_files(&place, setup, trace);
        let problem = format!(
            "wrun: trace {trace:?} cannot be written, and is incomplete: File too large (os error 27): raise the limit of \
             file sizes (ulimit -f)\n"
        );
        assert_eq!(said.stderr, problem);
        let (results, text) = said.stdout.split_once('\n').expect("a line");
        assert_eq!(results, "1 20000", "all results are there");
        let events = check(serde_json::from_str(text).expect("JSON"));
        assert_eq!(events[0]["name"], "process_name");
    }
}

#[test]
fn a_run_that_is_killed_at_any_time_leaves_a_whole_trace() {
    for round in 0..10u32 {
        let place = Place::new();
        let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "--trace", "trace"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wrun starts");
        let mut items = child.stdin.take().expect("a pipe");
        let results = child.stdout.take().expect("a pipe");
        std::thread::scope(|scope| {
            scope.spawn(move || while items.write_all(b"item\n").is_ok() {});
            // Each round ends after more results, and so at another place of the trace.
            let count = 500 * round as usize + 1;
            assert_eq!(BufReader::new(results).lines().take(count).count(), count);
            child.kill().expect("a process");
            child.wait().expect("its end");
        });
        assert_eq!(events(&place)[0]["name"], "process_name");
    }
}
