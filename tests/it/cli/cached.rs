//! `--cache`: what users see of cached results.

use std::io::Read as _;
use std::process::Stdio;

use crate::cli::kit::{Place, Said, finish, hello, objects, ok, said};
use crate::support::guest;

/// A directory with its own cache.
struct Cached(Place);

impl Cached {
    fn new() -> Cached {
        Cached(Place::new())
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.0.wrun(args);
        command.env("WRUN_CACHE_DIR", self.0.path().join("cache"));
        command
    }

    fn says(&self, args: &[&str]) -> Said {
        finish(self.command(args))
    }

    /// The files in the directory of results.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path().join("cache/results")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

#[test]
fn the_second_word_count_runs_no_task() {
    let place = Cached::new();
    let text: String = (0..2000).map(|number| format!("word{} the\n", number % 97)).collect();
    place.0.file("text.txt", &text);
    let wordcount = guest("wordcount");
    let map = ["map", &wordcount, "--split", "1K", "text.txt", "--reduce", "merge", "--cache"];
    let first = place.says(&map);
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    let verbose = place.says(&[&map[..], &["-v"]].concat());
    assert_eq!((verbose.code, &verbose.stdout), (Some(0), &first.stdout));
    let lines: Vec<&str> = verbose.stderr.lines().collect();
    let (last, tasks) = lines.split_last().expect("lines");
    assert!(tasks.len() > 8 && tasks.iter().all(|line| line.ends_with("): ok from the cache")), "{}", verbose.stderr);
    let merges: usize =
        last.rsplit(" of ").next().and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("merges");
    let count = tasks.len();
    assert!(merges > 1, "{last}");
    let expected = format!("wrun: {count} of {count} tasks and {merges} of {merges} merges came from the cache");
    assert_eq!(*last, expected);
    let merged = &objects(&place.says(&[&map[..], &["--json"]].concat()).stdout)[0];
    assert_eq!(merged["cached"], true);
    assert_eq!(merged["output"], first.stdout);

    // One more line means one more task, and the merges above it.
    place.0.file("text.txt", text + "more\n");
    let third = place.says(&[&map[..], &["-v"]].concat());
    assert!(third.stdout.contains("more 1\n"), "{}", third.stdout);
    let cached = third.stderr.lines().filter(|line| line.ends_with("): ok from the cache")).count();
    assert!((1..=count).contains(&cached), "{}", third.stderr);
}

#[test]
fn objects_log_lines_and_progress_say_what_was_cached() {
    let place = Cached::new();
    let map = ["map", "kit.wat", "--call", "log", "--cache"];
    assert_eq!(place.says(&[&map[..], &["a"]].concat()), said(0, "", "task 0 (a): a\n"));
    let args = [&map[..], &["--json", "--joblog", "log", "--progress", "json", "b", "a"]].concat();
    let second = place.says(&args);
    let cached = |lines: &str| objects(lines).iter().map(|object| object["cached"].clone()).collect::<Vec<_>>();
    assert_eq!(cached(&second.stdout), [serde_json::Value::Null, true.into()]);
    let log = std::fs::read_to_string(place.0.path().join("log")).expect("a log");
    assert_eq!(objects(&log).iter().filter(|object| object["cached"] == true).count(), 1, "{log}");
    let events = objects(&second.stderr);
    assert_eq!(events.last().map(|event| (&event["event"], &event["cached"])), Some((&"finished".into(), &1.into())));
    assert!(events.iter().any(|event| event["event"] == "log" && event["item"] == "a"), "a hit shows its log");
    let lines = place.says(&[&map[..], &["--progress", "lines", "a", "b"]].concat());
    assert!(
        lines.stderr.lines().any(|line| line.starts_with("done 2 of 2 |") && line.ends_with(" | 2 from the cache"))
    );
}

#[test]
fn run_takes_and_keeps_results_too() {
    let place = Cached::new();
    let run = |args: &[&str]| place.says(&[&["run", "--cache", "--json"], args].concat());
    assert!(objects(&run(&["sqrt.wat", "16"]).stdout)[0].get("cached").is_none());
    assert_eq!(objects(&run(&["sqrt.wat", "16"]).stdout)[0]["cached"], true);
    assert_eq!(place.says(&["map", "sqrt.wat", "--cache", "-v", "16"]).stderr.lines().count(), 2);
    let hello = hello();
    let attached = place.says(&["run", "--cache", &hello, "you"]);
    let why = "wrun: warning: results are not cached: a program on this terminal reads and writes it by itself; \
               give it an --item or --index\n";
    assert_eq!(attached, said(0, "hello, you\n", why));
    assert_eq!(place.says(&["run", "--cache", "--index", "0", &hello, "you"]), ok("hello, you\n"));
}

#[test]
fn what_cannot_be_cached_is_reported_in_one_line() {
    let place = Cached::new();
    let hello = hello();
    for (option, why) in [
        ("--clock", "tasks can see the real time"),
        ("--random", "tasks can see real random numbers"),
        ("--dir=.", "tasks can see the files of directories, whose contents are not in their keys"),
        ("--reuse", "instances are reused, so a task can see what earlier ones left"),
    ] {
        let module = if option == "--reuse" { "sqrt.wat" } else { &hello };
        let (item, result) = if option == "--reuse" { ("4", "2\n") } else { ("you", "hello, you\n") };
        for _ in 0..2 {
            let expected = said(0, result, &format!("wrun: warning: results are not cached: {why}\n"));
            assert_eq!(place.says(&["map", module, "--cache", option, item]), expected);
        }
    }
    assert!(place.names().is_empty());
    std::fs::create_dir_all(place.0.path().join("cache")).expect("a directory");
    place.0.file("cache/results", "");
    let unusable = place.says(&["map", "sqrt.wat", "--cache", "4", "9"]);
    assert_eq!((unusable.code, unusable.stdout.as_str()), (Some(0), "2\n3\n"));
    assert!(unusable.stderr.starts_with("wrun: warning: results are not cached: cache directory "));
    assert_eq!(unusable.stderr.lines().count(), 1, "{}", unusable.stderr);
}

#[test]
fn results_are_listed_cleared_and_bounded() {
    let place = Cached::new();
    let mut command = place.command(&["map", "sqrt.wat", "4", "9"]);
    command.env("WRUN_CACHE", "1");
    assert_eq!(finish(command), ok("2\n3\n"));
    let list = place.says(&["cache", "list", "--only", "results"]).stdout;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    assert!(lines[0].starts_with("result ") && lines[0].ends_with(" B  just now        sqrt.wat sqrt"), "{list}");
    assert!(lines[2].ends_with(" B  in 2 results"), "{list}");
    let cleared = place.says(&["cache", "clear", "--only", "results"]).stdout;
    assert!(cleared.starts_with("removed 2 results, "), "{cleared}");
    assert_eq!(place.says(&["cache", "list", "--only", "modules"]).stdout.lines().count(), 2, "modules stay");

    // There is room for two entries of one block each.
    let items: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let bounded = place.says(&[&["map", "sqrt.wat", "--cache", "--cache-size", "8K"], &items[..]].concat());
    assert_eq!((bounded.code, bounded.stdout.lines().count()), (Some(0), 20));
    let results = || place.names().iter().filter(|name| name.ends_with(".result")).count();
    assert_eq!(results(), 2);
    // Results expire.
    let expired = place.says(&[&["map", "sqrt.wat", "--cache", "--cache-expires", "1ns", "-v"], &items[..]].concat());
    assert!(!expired.stderr.contains("from the cache"), "{}", expired.stderr);
}

#[test]
fn eight_runs_at_once_share_a_cache() {
    let place = Cached::new();
    let items: Vec<String> = (0..300).map(|number| format!("item-{number}")).collect();
    let args: Vec<&str> = ["map", "kit.wat", "--call", "echo", "--cache", "-j2"].into_iter().collect();
    let args: Vec<&str> = args.into_iter().chain(items.iter().map(String::as_str)).collect();
    let expected: String = items.iter().map(|item| format!("{item}\n")).collect();
    let runs: Vec<_> = (0..8).map(|_| place.command(&args).spawn().expect("wrun starts")).collect();
    for run in runs {
        assert_eq!(crate::cli::kit::texts(crate::cli::kit::output(run)), ok(&expected));
    }
    assert!(!place.names().iter().any(|name| name.starts_with(".new-")), "a temporary file was left behind");
    let again = place.says(&[&args[..], &["-v"]].concat());
    assert!(again.stderr.ends_with("wrun: 300 of 300 tasks came from the cache\n"), "{}", again.stderr);
}

#[test]
fn a_run_that_is_killed_leaves_whole_results() {
    let place = Cached::new();
    let items: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    place.0.file("items", items.join("\n"));
    let args = ["map", "kit.wat", "--call", "echo", "--cache", "--items", "items"];
    let mut child = place.command(&args).stdout(Stdio::piped()).spawn().expect("wrun starts");
    // It has stored some results, and is about to store more.
    let mut first = [0; 64];
    child.stdout.take().expect("a pipe").read_exact(&mut first).expect("results");
    child.kill().expect("it runs");
    child.wait().expect("its end");
    let stored = place.names().iter().filter(|name| name.ends_with(".result")).count();
    assert!(stored > 0);
    let again = place.says(&[&args[..], &["-v"]].concat());
    assert_eq!(again.stdout, items.iter().map(|item| format!("{item}\n")).collect::<String>());
    let cached = again.stderr.lines().filter(|line| line.ends_with("): ok from the cache")).count();
    assert!(cached >= stored, "{cached} of {stored}");
}

#[test]
fn merges_from_the_cache_took_nothing() {
    let place = Cached::new();
    let map = ["map", "kit.wat", "--call", "echo", "--reduce", "join", "--cache", "--progress", "json"];
    let args = [&map[..], &["--summary", "--trace", "trace", "a", "b"]].concat();
    for cached in [0, 2] {
        let said = place.says(&args);
        assert_eq!(said.stdout, "[a][b]\n");
        let summary = objects(&said.stderr).pop().expect("a summary");
        assert_eq!((&summary["merges"], &summary["ran_earlier"]), (&1.into(), &cached.into()));
        let trace = std::fs::read(place.0.path().join("trace")).expect("a trace");
        let trace: Vec<serde_json::Value> = serde_json::from_slice(&trace).expect("JSON");
        let ran = trace.iter().filter(|event| event["ph"] == "X").count();
        let attempts = summary["workers"].as_array().expect("workers").iter();
        let attempts = attempts.map(|worker| worker["attempts"].as_u64().expect("a number")).sum::<u64>();
        assert_eq!((ran, attempts), if cached == 0 { (3, 3) } else { (0, 0) });
    }
}
