//! Scale: many items, inputs and workers, and long tasks among short ones.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use wrun::{Event, Input, Job, Source, Status, Task};

use crate::cli::kit::{Place, Said, ok, said};
use crate::cli::life_cycle::says;
use crate::cli::signals::children_of;
use crate::library::dispatch::{echo, echo_job};
use crate::support::{Flag, bytes, patient, pool, wait_for, worker_that_maps};

#[test]
fn long_tasks_behind_many_short_ones_run_all_at_once() {
    const WORKERS: usize = 3;
    // After this many short tasks, many are queued ahead on a worker, so these long ones are queued behind each other at first.
    let flags: Vec<Flag> = (0..WORKERS).map(|_| Flag::new()).collect();
    let mut tasks: Vec<Task> = (0..3000).map(Task::from).collect();
    tasks.extend(flags.iter().map(|flag| Task::new("wait").input(flag.input())));
    tasks.extend((0..100).map(Task::from));
    let count = tasks.len();
    let mut pool = pool(WORKERS);
    let ended = std::thread::scope(|scope| {
        // None of them ends before all have begun.
        let together = scope.spawn(|| {
            let mut workers: Vec<u32> = flags.iter().map(|flag| worker_that_maps(flag.path())).collect();
            flags.iter().for_each(Flag::raise);
            workers.sort_unstable();
            workers.dedup();
            workers.len()
        });
        let run = pool.map(&echo_job(), tasks.into_iter()).expect("a run");
        let ended = run.filter(|outcome| outcome.status() == Status::Ok).count();
        assert_eq!(together.join().expect("all have begun"), WORKERS);
        ended
    });
    assert_eq!(ended, count);
}

/// Short tasks, then a long one, and after that has ended others that are just as long.
struct ShortThenLong<'a> {
    short: u64,
    first: Option<Task>,
    first_has_ended: Rc<Cell<bool>>,
    others: std::iter::RepeatN<&'a Flag>,
}

impl Source for ShortThenLong<'_> {
    fn poll_task(&mut self) -> Poll<Option<Task>> {
        if self.short > 0 {
            self.short -= 1;
            return Poll::Ready(Some(Task::from(self.short)));
        }
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None if !self.first_has_ended.get() => Poll::Pending,
            None => Poll::Ready(self.others.next().map(|flag| Task::new("wait").input(flag.input()))),
        }
    }
}

#[test]
fn where_tasks_are_long_one_is_queued_behind_the_one_that_runs() {
    const SHORT: u64 = 500;
    const WORKERS: u64 = 2;
    // One task this long is more work than is queued ahead on a worker.
    const LONG: Duration = Duration::from_millis(50);
    let (first, others) = (Flag::new(), Flag::new());
    let first_has_ended = Rc::new(Cell::new(false));
    let source = ShortThenLong {
        short: SHORT,
        first: Some(Task::new("wait").input(first.input())),
        first_has_ended: Rc::clone(&first_has_ended),
        others: std::iter::repeat_n(&others, 20),
    };
    let most_ahead = RefCell::new(Vec::new());
    let begun = Cell::new(None);
    let mut pool = pool(WORKERS as usize);
    let run = pool.map(&echo_job(), source).expect("a run").observe(|event, stats| {
        let Event::Tick = event else { return };
        if stats.done == SHORT && stats.taken == SHORT + 1 {
            let begun = begun.get().unwrap_or_else(|| {
                worker_that_maps(first.path());
                begun.replace(Some(Instant::now()));
                Instant::now()
            });
            if begun.elapsed() > LONG {
                first.raise();
            }
        }
        first_has_ended.set(stats.done > SHORT);
        if stats.done == SHORT + 1 && stats.taken > stats.done {
            most_ahead.borrow_mut().push(stats.taken - stats.done);
            // The same number twice in a row: the run takes no more.
            if let [.., before, now] = most_ahead.borrow()[..]
                && before == now
            {
                others.raise();
            }
        }
    });
    assert_eq!(run.filter(|outcome| outcome.status() == Status::Ok).count() as u64, SHORT + 21);
    assert_eq!(most_ahead.borrow().iter().max(), Some(&(2 * WORKERS)), "{most_ahead:?}");
}

/// A value from `/proc/pid/status`, in KiB.
fn kib(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let value = status.lines().find_map(|line| line.strip_prefix(what)).expect("a figure");
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Runs a task that returns its item on ascending numbers; measures the memory of `wrun` after a tenth of them and near the end,
/// while it is still running.
fn memory_stays_flat(items: u64, options: &[&str]) {
    let place = Place::new();
    let args = [&["map", "kit.wat", "--call", "echo", "-j2", "--items", "-"], options].concat();
    let mut child = place.wrun(&args).stdin(Stdio::piped()).spawn().expect("wrun starts");
    let pid = child.id();
    let mut stdin = child.stdin.take().expect("a pipe");
    let mut results = BufReader::new(child.stdout.take().expect("a pipe"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            for thousands in 0..items / 1000 {
                let lines: String = (0..1000).map(|n| format!("{}\n", thousands * 1000 + n)).collect();
                stdin.write_all(lines.as_bytes()).expect("a reader");
            }
            stdin
        });
        let mut read_to = |count| {
            let mut line = Vec::new();
            for _ in 0..count {
                line.clear();
                assert!(results.read_until(b'\n', &mut line).expect("a result") > 0, "a result is missing");
            }
        };
        read_to(items / 10);
        let early = kib(pid, "VmHWM");
        read_to(items - items / 10);
        let late = kib(pid, "VmHWM");
        assert!(late < 64 << 10, "{options:?}: {late} KiB");
        // The number of outcomes that wait for an earlier one varies; at most they take some 6 MiB.
        assert!(late < early + (8 << 10), "{options:?}: {early} KiB, later {late} KiB");
        drop(writer.join().expect("all was written"));
    });
    assert_eq!(child.wait().expect("the end").code(), Some(0));
}

#[test]
fn half_a_million_items_pass_through_in_little_memory() {
    memory_stays_flat(500_000, &[]);
}

#[test]
fn no_form_of_results_takes_memory_for_each_item() {
    for options in [&["--unordered"][..], &["--json"], &["--joblog", "log"], &["--tag", "--retries", "1"]] {
        memory_stays_flat(100_000, options);
    }
}

/// A thousand small files `in/1`.. and their contents, in order.
fn thousand_files(place: &Place) -> String {
    std::fs::create_dir(place.path().join("in")).expect("a directory");
    let contents = (1..=1000).map(|n| format!("file {n}\n"));
    contents.zip(1..).map(|(text, n)| (place.file(&format!("in/{n}"), &text), text).1).collect()
}

#[test]
fn a_thousand_inputs_and_files_are_usable_at_once() {
    let place = Place::new();
    let contents = thousand_files(&place);
    let inputs: String = (1..=1000).map(|n| format!(" --input n{n}=in/{n}")).collect();
    let words = format!("map kit.wat --call cat -j2 x {inputs}");
    assert_eq!(says(&place, "ulimit -n 1024", &words, ""), ok(&contents));
    // A thousand inputs need a little more than a thousand descriptors; if these run out, one line says so.
    for few in [64, 256, 1000, 1005, 1007, 1009, 1011, 1013, 1015, 1017] {
        let Said { code, stdout, stderr } = says(&place, &format!("ulimit -n {few}"), &words, "");
        if few > 1000 && code == Some(0) {
            assert_eq!((stdout, stderr.as_str()), (contents.clone(), ""), "{few}");
            continue;
        }
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(1), "", 1), "{few}: {stderr}");
        let advice = "Too many open files (os error 24): raise the limit of open files (ulimit -n), or use fewer inputs or jobs\n";
        assert!(stderr.starts_with("wrun: ") && stderr.ends_with(advice), "{few}: {stderr}");
    }
    // Files that are items are opened when their turn comes, so a few descriptors are enough.
    place.file("list", (1..=1000).map(|n| format!("in/{n}\n")).collect::<String>());
    for few in [64, 256, 1024] {
        let words = "map kit.wat --call cat -j2 --files --items list";
        assert_eq!(says(&place, &format!("ulimit -n {few}"), words, ""), ok(&contents), "{few}");
    }
}

#[test]
fn a_task_may_have_a_thousand_inputs_of_its_own() {
    let place = Place::new();
    let contents = thousand_files(&place);
    let open = |n: usize| Input::open(place.path().join(format!("in/{n}"))).expect("a file");
    let inputs: Vec<Input> = (1..=1000).map(open).collect();
    let task = |from: usize| Task { inputs: [&inputs[from..], &inputs[..from]].concat(), ..Task::new("") };
    let job = Job::new(&echo()).call("concatenate").limits(patient());
    let ended: Vec<_> = pool(2).map(&job, [task(0), task(500), task(0)].into_iter()).expect("a run").collect();
    let line = contents.find("file 501\n").expect("a line");
    for (outcome, expected) in ended.iter().zip([0, line, 0]) {
        assert!(bytes(outcome) == [&contents[expected..], &contents[..expected]].concat().as_bytes());
    }
}

#[test]
fn sixty_four_workers_give_what_one_gives() {
    let place = Place::new();
    // The items mix short tasks with ones that fail, have to be stopped or take a while.
    let mut items: Vec<String> = (0..600).map(|n| if n % 7 == 3 { format!("f{n}") } else { n.to_string() }).collect();
    items[100].insert(0, 'l');
    place.file("items", items.join("\n"));
    let result = |jobs: &str, call: &str, more: &[&str]| {
        let args = [&["map", "kit.wat", "--call", call, "--items", "items", "--tag", "-j", jobs], more].concat();
        let Said { code, stdout, stderr } = place.says(&args);
        // Where a task was when it was stopped varies, and may be unknown.
        let stderr = stderr.lines().filter(|line| line.starts_with("task ") || line.starts_with("wrun: "));
        let stderr: Vec<_> = stderr.map(|line| line.split(" in ").next().expect("a part").to_owned()).collect();
        (code, stdout, stderr)
    };
    for (call, more) in [("echo", &[][..]), ("fail-f", &[]), ("loop-l", &["--timeout", "1s"]), ("divide", &[])] {
        let one = result("1", call, more);
        assert_eq!(
            one.1.lines().count() + one.2.iter().filter(|line| line.starts_with("task ")).count(),
            600,
            "{call}"
        );
        let many = result("64", call, more);
        assert_eq!((many.0, many.2), (one.0, one.2), "{call}");
        assert!(many.1 == one.1, "{call}");
    }
}

#[test]
fn no_more_workers_start_than_there_are_tasks_and_all_at_once() {
    let place = Place::new();
    let flag = Flag::new();
    let input = format!("flag={}", flag.path().display());
    for items in [1, 3, 20] {
        let flag = Flag::new();
        let items: Vec<String> = (0..items).map(|n| format!("w{n}")).collect();
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        let own = format!("flag={}", flag.path().display());
        let args = [&["map", "kit.wat", "--call", "wait-w", "--jobs", "64", "--input", &own], &items[..]].concat();
        let child = place.wrun(&args).spawn().expect("wrun starts");
        // All of them wait at the same time, so none was queued behind another.
        let maps = |pid: &u32| {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            maps.contains(flag.path().to_str().expect("UTF-8"))
        };
        wait_for(|| (children_of(child.id()).iter().filter(|pid| maps(pid)).count() == items.len()).then_some(()));
        assert_eq!(children_of(child.id()).len(), items.len());
        flag.raise();
        let lines: String = items.iter().map(|item| format!("{item}\n")).collect();
        assert_eq!(crate::cli::kit::texts(crate::cli::kit::output(child)), ok(&lines));
    }
    // There may also be fewer short tasks than workers.
    flag.raise();
    let one = ["map", "kit.wat", "--call", "wait-w", "--jobs", "64", "--input", &input, "w"];
    assert_eq!(place.says(&one), said(0, "w\n", ""));
}

#[test]
fn ten_gigabytes_with_holes_are_cut_at_lines() {
    const LEN: u64 = 10 << 30;
    const PIECE: u64 = 64 << 20;
    let place = Place::new();
    let path = place.file("big", "");
    let file = std::fs::File::options().read(true).write(true).open(&path).expect("the file");
    file.set_len(LEN).expect("room for a hole");
    let lines = b"a line of some text\n".repeat(1000);
    (1..LEN / PIECE).for_each(|n| file.write_all_at(&lines, n * PIECE - 10_000).expect("room for lines"));
    file.write_all_at(b"\n", LEN - 1).expect("room for a line end");
    let Said { code, stdout, stderr } = place.map("echo", &["--split", "64M", "big", "--tag"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let mut position = 0;
    for (number, line) in stdout.lines().enumerate() {
        let range = line.strip_prefix("big@").and_then(|rest| rest.split('\t').next()).expect("a piece");
        let (offset, len) = range.split_once('+').expect("a range");
        assert_eq!(offset.parse::<u64>().expect("a number"), position, "no gap");
        position += len.parse::<u64>().expect("a number");
        let mut last = [0];
        file.read_exact_at(&mut last, position - 1).expect("a byte");
        assert_eq!(&last, b"\n", "piece {number}");
    }
    assert_eq!((stdout.lines().count() as u64, position), (LEN / PIECE, LEN));
}
