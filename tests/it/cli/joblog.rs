//! `--joblog`, `--resume` and `--resume-failed`: finished tasks are logged, and not run again.

use std::fs;
use std::path::Path;

use crate::cli::kit::{Place, keys, objects, ok, output, said, texts};
use crate::support::{self, Flag, wait_for, worker_that_maps};

/// The contents of the log of this name.
fn log(place: &Place, name: &str) -> String {
    fs::read_to_string(place.path().join(name)).expect("a log")
}

/// A map by one worker with one instance, whose state shows which tasks ran in this run.
fn one(place: &Place, task: &str, args: &[&str]) -> crate::cli::kit::Said {
    place.map(task, &[&["--reuse", "-j1", "--joblog", "log"], args].concat())
}

#[test]
fn a_log_has_a_line_for_each_task_with_its_result() {
    let place = Place::new();
    let failed = "task 1 (f) failed: f\n";
    let all = place.map("fail-f", &["--joblog", "log", "a", "f", "b"]);
    assert_eq!((all.code, all.stdout.as_str()), (Some(100), "a\nb\n"));
    assert!(all.stderr.starts_with(failed), "{}", all.stderr);
    let mut lines = objects(&log(&place, "log"));
    assert!(log(&place, "log").lines().all(|line| line.starts_with(r#"{"key":""#)));
    lines.sort_by_key(|line| line["index"].as_u64());
    let fields = ["attempts", "index", "item", "key", "output", "seconds", "start", "status", "worker"];
    assert_eq!(keys(&lines[0]), fields);
    assert_eq!((&lines[0]["output"], &lines[2]["item"]), (&"a".into(), &"b".into()));
    assert_eq!((&lines[1]["status"], &lines[1]["error"]), (&"error".into(), &"f".into()));
    assert_eq!(lines[0]["key"].as_str().expect("a key").len(), 64);
    assert!(lines[0]["key"] != lines[2]["key"]);

    let again = place.map("fail-f", &["--joblog", "log", "a"]);
    assert_eq!(again, said(1, "", "wrun: joblog \"log\" exists; add --resume to continue it, or remove it\n"));
    assert_eq!(objects(&log(&place, "log")).len(), 3, "nothing is lost");
    place.file("empty", "");
    assert_eq!(place.map("echo", &["--joblog", "empty", "a"]), ok("a\n"));
}

#[test]
fn what_is_in_the_log_is_printed_again_and_not_run_again() {
    let place = Place::new();
    assert_eq!(one(&place, "calls", &["a", "b", "c"]), ok("1\n2\n3\n"));
    // Items may be moved, added and removed.
    assert_eq!(one(&place, "calls", &["--resume", "c", "new", "a", "b"]), ok("3\n1\n1\n2\n"));
    assert_eq!(objects(&log(&place, "log")).len(), 4);
    assert_eq!(one(&place, "calls", &["--resume", "--tag", "new", "c"]), ok("new\t1\nc\t3\n"));
    let json = one(&place, "calls", &["--resume", "--json", "c"]);
    let object = &objects(&json.stdout)[0];
    let line = objects(&log(&place, "log")).into_iter().find(|line| line["item"] == "c").expect("its line");
    for field in ["output", "start", "seconds", "worker", "attempts"] {
        assert_eq!(object[field], line[field], "{field}");
    }
    assert_eq!(objects(&log(&place, "log")).len(), 4, "tasks that were not run are not logged again");
    // A log that does not exist yet is created.
    assert_eq!(place.map("echo", &["--joblog", "other", "--resume", "a"]), ok("a\n"));
    assert_eq!(objects(&log(&place, "other")).len(), 1);
}

#[test]
fn equal_items_have_a_line_each() {
    let place = Place::new();
    assert_eq!(one(&place, "calls", &["a", "a", "b"]), ok("1\n2\n3\n"));
    assert_eq!(one(&place, "calls", &["--resume", "b", "a", "a", "a"]).stdout.lines().last(), Some("1"));
    assert_eq!(objects(&log(&place, "log")).len(), 4);
    let lines = one(&place, "calls", &["--resume", "a", "a", "a", "b"]).stdout;
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "1", "2", "3"]);
}

#[test]
fn failed_tasks_are_run_again_only_if_asked_for() {
    let place = Place::new();
    let failed = "task 0 (2) failed: 2\nwrun: 1 of 1 tasks failed\n";
    let without_rerun = |said: crate::cli::kit::Said| {
        let lines: String = said
            .stderr
            .lines()
            .filter(|line| !line.starts_with("rerun, in a fresh instance: "))
            .map(|l| format!("{l}\n"))
            .collect();
        (said.code, said.stdout, lines)
    };
    let first = (Some(100), String::new(), failed.to_owned());
    assert_eq!(without_rerun(one(&place, "pass-on-call", &["2"])), first);
    assert_eq!(without_rerun(one(&place, "pass-on-call", &["--resume", "2"])), first);
    assert_eq!(objects(&log(&place, "log")).len(), 1);
    assert_eq!(one(&place, "pass-on-call", &["--resume-failed", "0", "2"]), ok("0\n2\n"));
    let lines = objects(&log(&place, "log"));
    assert_eq!((lines.len(), &lines[2]["replaces"]), (3, &"failed".into()));
    // The new line replaces the old one, which does not count as a second task.
    for option in ["--resume", "--resume-failed"] {
        assert_eq!(one(&place, "pass-on-call", &[option, "2", "0"]), ok("2\n0\n"));
    }
    let second = one(&place, "pass-on-call", &["--resume", "2", "2"]);
    assert_eq!((second.code, second.stdout.as_str()), (Some(100), "2\n"), "the second of them has not run yet");
    assert_eq!(objects(&log(&place, "log")).len(), 4);
}

#[test]
fn what_was_cancelled_or_lost_its_worker_is_run_again() {
    let place = Place::new();
    assert_eq!(one(&place, "calls", &["a", "b", "c"]), ok("1\n2\n3\n"));
    let text = log(&place, "log");
    let lost: Vec<String> = text
        .lines()
        .zip([r#""status":"worker-lost","error":"x""#, r#""status":"cancelled","error":"x""#, r#""status":"ok""#])
        .map(|(line, status)| format!("{}\n", line.replace(r#""status":"ok""#, status)))
        .collect();
    place.file("log", lost.concat());
    assert_eq!(one(&place, "calls", &["--resume", "a", "b", "c"]), ok("1\n2\n3\n"));
    let lines = objects(&log(&place, "log"));
    let replaced: Vec<_> = lines[3..].iter().map(|line| line["replaces"].as_str().expect("a status")).collect();
    assert_eq!(replaced, ["unfinished", "unfinished"]);
    assert_eq!(one(&place, "calls", &["--resume", "a", "b", "c"]), ok("1\n2\n3\n"));
    assert_eq!(objects(&log(&place, "log")).len(), 5);
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let place = Place::new();
    let mut child = place
        .wrun(&["map", "kit.wat", "--call", "loop-l", "-j1", "--joblog", "log", "a", "b", "l"])
        .spawn()
        .expect("wrun starts");
    wait_for(|| (fs::read_to_string(place.path().join("log")).ok()?.lines().count() == 2).then_some(()));
    support::kill(child.id());
    child.wait().expect("its end");
    // A crash may have truncated a line.
    let whole = log(&place, "log");
    for cut in [0, 1, 5, 100] {
        let cut = format!("{whole}{}", &whole[..cut]);
        place.file("log", &cut);
        assert_eq!(place.map("loop-l", &["--joblog", "log", "--resume", "b", "c", "a"]), ok("b\nc\na\n"));
        let continued = log(&place, "log");
        let (before, after) = continued.split_at(cut.len());
        assert_eq!(before, cut);
        assert_eq!(objects(after.trim_start()).len(), 1, "{after}");
        assert_eq!(place.map("loop-l", &["--joblog", "log", "--resume", "b", "c", "a"]), ok("b\nc\na\n"));
        assert_eq!(log(&place, "log"), continued);
    }
    let cut = &whole[..whole.len() - 20];
    place.file("log", cut);
    assert_eq!(place.map("loop-l", &["--joblog", "log", "--resume", "a", "b"]), ok("a\nb\n"));
    let continued = log(&place, "log");
    assert!(continued.starts_with(&format!("{cut}\n{{")), "{continued}");
}

#[test]
fn a_task_that_was_still_to_be_tried_again_is_run_again() {
    let place = Place::new();
    // The first one waits for an hour when the second one ends the run.
    let args = ["--retries", "1", "--retry-delay", "1h", "--joblog", "log", "--reuse", "-j1"];
    let mut child = place.wrun(&[&["map", "kit.wat", "--call", "pass-on-call"], &args[..], &["2", "0"]].concat());
    let child = child.spawn().expect("wrun starts");
    wait_for(|| (fs::read_to_string(place.path().join("log")).ok()?.lines().count() == 1).then_some(()));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("wrun runs");
    let said = crate::cli::kit::texts(crate::cli::kit::output(child));
    assert_eq!((said.code, said.stdout.as_str()), (Some(130), "0\n"), "{}", said.stderr);
    let lines = objects(&log(&place, "log"));
    assert_eq!((&lines[1]["status"], &lines[1]["unfinished"]), (&"error".into(), &true.into()));
    assert_eq!(one(&place, "pass-on-call", &["--resume", "1", "2"]), ok("1\n2\n"));
    assert_eq!(one(&place, "pass-on-call", &["--resume", "2", "0"]), ok("2\n0\n"));
    assert_eq!(objects(&log(&place, "log")).len(), 4);
}

#[test]
fn results_of_every_kind_come_back_from_the_log() {
    let place = Place::new();
    place.file("big", vec![b'x'; 300_000]);
    place.file("bytes", [&b"\xff\0\x1b\n"[..], &[7; 100_000]].concat());
    place.file("none", "");
    let args = ["--files", "big", "bytes", "none", "--raw", "--joblog", "log"];
    let output = |args: &[&str]| {
        support::wrun(&[&["map", "kit.wat", "--call", "cat"], args].concat()).current_dir(place.path()).output()
    };
    let first = output(&args).expect("wrun runs");
    assert_eq!(first.stdout.len(), 300_000 + 100_004);
    let size = log(&place, "log").len();
    for more in [&["--resume"][..], &["--resume", "--unordered"]] {
        let again = output(&[&args[..], more].concat()).expect("wrun runs");
        assert_eq!((again.status.code(), again.stdout.len()), (Some(0), first.stdout.len()));
        assert!(more.len() > 1 || again.stdout == first.stdout);
        assert_eq!(log(&place, "log").len(), size, "nothing ran");
    }
    let pieces =
        ["--split", "100000", "--split-at", "bytes", "big", "--joblog", "pieces", "--resume", "--reduce", "cat"];
    let first = place.map("cat", &pieces);
    assert_eq!((first.code, first.stdout.len()), (Some(0), 300_001), "{}", first.stderr);
    assert_eq!(objects(&log(&place, "pieces")).len(), 3);
    assert_eq!(place.map("cat", &pieces), first);
    assert_eq!(objects(&log(&place, "pieces")).len(), 3);
}

#[test]
fn whatever_can_change_a_result_makes_another_task() {
    let place = Place::new();
    place.file("shared", "one");
    place.file("item", "two");
    let lines = |args: &[&str]| {
        let base = ["map", "kit.wat", "--joblog", "log", "--resume", "--call"];
        let said = place.says(&[&base, args].concat());
        assert_eq!(said.code, Some(0), "{}", said.stderr);
        objects(&log(&place, "log")).len()
    };
    let base = ["cat", "--files", "item", "-i", "data=shared"];
    assert_eq!(lines(&base), 1);
    for same in [&["-j1"][..], &["--timeout", "1m"], &["--retries", "3"], &["--memory", "256M"]] {
        assert_eq!(lines(&[&base[..], same].concat()), 1, "{same:?}");
    }
    assert_eq!(lines(&[&base[..], &["--memory", "200M"]].concat()), 2);
    assert_eq!(lines(&[&base[..], &["--reuse"]].concat()), 3);
    assert_eq!(lines(&[&base[..], &["--max-output", "1M"]].concat()), 4);
    assert_eq!(lines(&["cat", "--files", "item", "-i", "other=shared"]), 5);
    assert_eq!(lines(&["cat", "--files", "item", "-i", "data=shared@0+2"]), 6);
    assert_eq!(lines(&["join", "--files", "item", "-i", "data=shared"]), 7);
    place.file("shared", "ONE");
    assert_eq!(lines(&base), 8);
    place.file("item", "TWO");
    assert_eq!(lines(&base), 9);
    let kit = fs::read_to_string(place.path().join("kit.wat")).expect("the module");
    place.file("kit.wat", format!("{kit} ;; changed"));
    assert_eq!(lines(&base), 10);
    assert_eq!(lines(&base), 10, "the control");
}

#[test]
fn a_log_that_cannot_be_used_is_refused() {
    let place = Place::new();
    let full = place.map("echo", &["-j1", "--joblog", "/dev/full", "a", "b"]);
    let why = "wrun: the run was stopped, because joblog \"/dev/full\" cannot be written: No space left on device (os error 28)\n";
    assert_eq!(full.code, Some(1));
    assert!(full.stderr.ends_with(why) && full.stdout.starts_with("a\n"), "{full:?}");

    place.file("text", "my precious notes\n");
    place.file("words", "precious");
    place.file("locked", "");
    let locked = fs::OpenOptions::new().append(true).open(place.path().join("locked")).expect("a file");
    locked.lock().expect("a lock");
    for (args, why) in [
        (
            &["--joblog", "nowhere/log"][..],
            "cannot open joblog \"nowhere/log\": No such file or directory (os error 2)",
        ),
        (&["--joblog", "."], "cannot open joblog \".\": Is a directory (os error 21)"),
        (&["--joblog", "text"], "joblog \"text\" exists; add --resume to continue it, or remove it"),
        (
            &["--joblog", "text", "--resume"],
            "line 1 of joblog \"text\" is not from a joblog; name the right file, or remove it",
        ),
        (
            &["--joblog", "words", "--resume"],
            "line 1 of joblog \"words\" is not from a joblog; name the right file, or remove it",
        ),
        (
            &["--joblog", "/dev/null", "--resume"],
            "joblog \"/dev/null\" is not a regular file, so there is nothing to resume; omit --resume",
        ),
        (&["--joblog", "locked"], "joblog \"locked\" is in use by another run; give each run its own"),
    ] {
        assert_eq!(place.map("echo", &[args, &["a"]].concat()), said(1, "", &format!("wrun: {why}\n")));
    }
    assert_eq!(log(&place, "text") + &log(&place, "words"), "my precious notes\nprecious");
    let why = "wrun: --resume and --resume-failed continue a job log; name it with --joblog FILE\n";
    assert_eq!(place.map("echo", &["--resume", "a"]), said(2, "", why));
}

#[test]
fn an_end_that_is_no_job_log_is_passed_over() {
    let place = Place::new();
    assert_eq!(place.map("echo", &["-j1", "--joblog", "whole", "a", "b"]), ok("a\nb\n"));
    let whole = fs::read(place.path().join("whole")).expect("a log");
    let line = whole.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    let zeros = vec![0; 100_000];
    for (end, bytes) in [
        (&b"\0\0\0"[..], 3),
        (&zeros, 100_000),
        (b"\xff\x00\n\n}{\n[]", 9),
        (b"text\nmore text\n", 15),
        // A line that was cut off, and then zeros.
        (b"{\"key\":\"00\n\0\0\0\0", 15),
        (b"{\"key\":\"00\0\0\0\0", 0),
    ] {
        place.file("log", [&whole[..line], end].concat());
        let warning = |fate: &str| match bytes {
            0 => String::new(),
            _ => format!(
                "wrun: warning: joblog \"log\" ends in {bytes} bytes that are not from a joblog, from line 2 on; they are {fate}\n"
            ),
        };
        let resume = ["--joblog", "log", "--resume", "a", "b"];
        let before = fs::read(place.path().join("log")).expect("a log");
        let dry = place.map("echo", &[&["--dry-run"], &resume[..]].concat());
        assert_eq!(dry, said(0, "wrun run kit.wat --call echo --index 1 b\n", &warning("passed over")), "{end:?}");
        assert_eq!(fs::read(place.path().join("log")).expect("a log"), before, "a dry run changes nothing");
        assert_eq!(place.map("echo", &resume), said(0, "a\nb\n", &warning("removed")), "{end:?}");
        // Both tasks are in the log, and nothing else but a line that was cut off.
        let text = fs::read(place.path().join("log")).expect("a log");
        assert_eq!(text.split(|byte| *byte == b'\n').filter(|line| line.ends_with(b"}")).count(), 2, "{end:?}");
        assert_eq!(text.contains(&0), bytes == 0, "{end:?}");
        assert_eq!(place.map("echo", &resume), ok("a\nb\n"));
    }
    // Something else in the middle is not what a crash leaves.
    place.file("log", [&whole[..line], b"\0\0\n", &whole[line..]].concat());
    let why = "wrun: line 2 of joblog \"log\" is not from a joblog; name the right file, or remove it\n";
    assert_eq!(place.map("echo", &["--joblog", "log", "--resume", "a", "b"]), said(1, "", why));
    // Nor is a file of zeros a log.
    place.file("zeros", [0; 10]);
    assert_eq!(place.map("echo", &["--joblog", "zeros", "--resume", "a"]).code, Some(1));
}

#[test]
fn a_log_that_is_truncated_or_removed_during_the_run_is_an_error() {
    let truncate = |path: &Path| fs::write(path, "").expect("an empty file");
    let remove = |path: &Path| fs::remove_file(path).expect("a file");
    for (how, lose) in [("truncated", &truncate as &dyn Fn(&Path)), ("removed", &remove)] {
        let (place, flag) = (Place::new(), Flag::new());
        let input = format!("flag={}", flag.path().display());
        let args = ["map", "kit.wat", "--call", "wait-w", "-j1", "-i", &input, "--joblog", "log", "a", "w"];
        let child = place.wrun(&args).spawn().expect("wrun starts");
        let path = place.path().join("log");
        worker_that_maps(flag.path());
        wait_for(|| fs::read(&path).is_ok_and(|log| log.ends_with(b"\n")).then_some(()));
        lose(&path);
        flag.raise();
        let problem = format!("wrun: joblog \"log\" was {how} during the run, and lines of it are lost\n");
        assert_eq!(texts(output(child)), said(1, "a\nw\n", &problem));
    }
}
