//! Interrupting and killing `wrun`: tasks that have run are reported, and nothing is left behind.

use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::cli::kit::{Place, output};
use crate::support::{Flag, PATIENCE, open_files, wait_for, worker_that_maps};

const FIRST: &str = "wrun: interrupted: finishing the running tasks; interrupt again to stop them\n";
const STOPPING: &str = "wrun: stopping the running tasks\n";

/// A run whose tasks wait for a flag.
struct Waiting {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    flag: Flag,
    /// The directory for its temporary files.
    tmp: tempfile::TempDir,
}

impl Waiting {
    /// Starts a run of two workers, and waits until a task that waits for the flag is running.
    fn start(place: &Place, items: &[&str]) -> Waiting {
        let flag = Flag::new();
        let tmp = tempfile::tempdir().expect("a directory");
        let input = format!("flag={}", flag.path().display());
        let args = [&["map", "kit.wat", "--call", "wait-w", "-j2", "-i", &input], items].concat();
        let mut child = place.wrun(&args).env("TMPDIR", tmp.path()).spawn().expect("wrun starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        worker_that_maps(flag.path());
        Waiting { child, stdout, stderr, flag, tmp }
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("wrun runs");
    }

    /// The next line on standard error.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stderr.read_line(&mut line).expect("wrun tells");
        line
    }

    /// Waits for the first result, which must be this line.
    fn first_result(&mut self, wanted: &str) {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("wrun writes");
        assert_eq!(line, wanted);
    }

    /// Reads up to this line.
    fn line_is(&mut self, wanted: &str) {
        let mut before = String::new();
        loop {
            let line = self.line();
            match line.as_str() {
                line if line == wanted => return,
                "" => panic!("the end came before {wanted:?}: {before:?}"),
                line => before.push_str(line),
            }
        }
    }

    /// Waits for the end. Returns the exit code, and the rest of standard output and of standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        // The rest of the output fits into the pipes.
        let code = output(self.child).status.code();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).expect("the end");
        self.stderr.read_to_string(&mut stderr).expect("the end");
        assert_eq!(names(self.tmp.path()), Vec::<String>::new(), "something is left in TMPDIR");
        (code, stdout, stderr)
    }
}

pub fn pid(number: u32) -> Pid {
    Pid::from_raw(number as i32).expect("a process number")
}

pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The processes that this one started.
pub fn children_of(process: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect::<Vec<u32>>())
        .collect()
}

/// Handles to all workers of a run, as soon as there are two.
pub fn workers(wrun: u32) -> Vec<(u32, OwnedFd)> {
    let pids = wait_for(|| Some(children_of(wrun)).filter(|pids| pids.len() == 2));
    pids.into_iter().map(|worker| (worker, pidfd_open(pid(worker), PidfdFlags::empty()).expect("it runs"))).collect()
}

/// Waits until a process has ended.
pub fn ended(process: &OwnedFd) -> bool {
    let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).expect("a process handle") == 1
}

#[test]
fn first_interrupt_lets_running_tasks_finish() {
    let place = Place::new();
    let mut run = Waiting::start(&place, &["w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7"]);
    run.signal(Signal::INT);
    assert_eq!(run.line(), FIRST);
    run.flag.raise();
    let (code, stdout, rest) = run.end();
    assert_eq!(code, Some(130));
    let done = stdout.lines().count();
    let expected: String = (0..8).map(|task| format!("w{task}\n")).filter(|line| stdout.contains(line)).collect();
    assert_eq!(stdout, expected, "results are whole, in order, and those of tasks that ran");
    assert!((1..8).contains(&done), "{stdout}");
    // Items that were never taken do not count as cancelled.
    let summary = format!("wrun: stopped early; tasks done: {done}, of which failed: 0, cancelled: ");
    let cancelled = rest.strip_prefix(&summary).and_then(|rest| rest.strip_suffix('\n')).map(str::parse::<usize>);
    assert!(cancelled.is_some_and(|count| count.is_ok_and(|count| (1..=8 - done).contains(&count))), "{rest}");
}

/// Checks that a run that was asked to stop has stopped its two running tasks, and accounts for all three.
fn assert_stopped_at_once(mut run: Waiting, workers: &[(u32, OwnedFd)]) {
    assert_eq!(run.line(), STOPPING);
    let (code, stdout, rest) = run.end();
    assert_eq!((code, stdout.as_str()), (Some(130), ""));
    assert_eq!(rest, "wrun: stopped early; tasks done: 1, of which failed: 0, cancelled: 2\n");
    assert!(workers.iter().all(|(_, worker)| ended(worker)));
}

#[test]
fn termination_stops_running_tasks_at_once() {
    let place = Place::new();
    let mut run = Waiting::start(&place, &["a", "w1", "w2"]);
    let workers = workers(run.child.id());
    // Finished work is kept.
    run.first_result("a\n");
    run.signal(Signal::TERM);
    assert_stopped_at_once(run, &workers);
}

#[test]
fn a_termination_that_is_sent_twice_at_once_is_one() {
    let place = Place::new();
    let run = Waiting::start(&place, &["a", "w1", "w2"]);
    let workers = workers(run.child.id());
    let mut run = run;
    run.first_result("a\n");
    // As timeout(1) does.
    run.signal(Signal::TERM);
    run.signal(Signal::TERM);
    assert_stopped_at_once(run, &workers);
}

#[test]
fn second_interrupt_stops_running_tasks() {
    let place = Place::new();
    let mut run = Waiting::start(&place, &["a", "w1", "w2"]);
    let workers = workers(run.child.id());
    // Finished work is kept.
    run.first_result("a\n");
    run.signal(Signal::INT);
    assert_eq!(run.line(), FIRST);
    run.signal(Signal::INT);
    assert_stopped_at_once(run, &workers);
}

#[test]
fn cancelled_tasks_are_not_counted_as_failed_in_progress() {
    let place = Place::new();
    let mut run = Waiting::start(&place, &["--progress", "lines", "a", "w1", "w2"]);
    // Finished work is kept.
    run.first_result("a\n");
    run.signal(Signal::INT);
    run.line_is(FIRST);
    run.signal(Signal::INT);
    run.line_is(STOPPING);
    let (code, stdout, rest) = run.end();
    assert_eq!((code, stdout.as_str()), (Some(130), ""));
    let summary = "wrun: stopped early; tasks done: 1, of which failed: 0, cancelled: 2\n";
    let progress = rest.strip_suffix(summary).unwrap_or_else(|| panic!("{rest}"));
    assert!(progress.starts_with("done ") && !progress.contains("failed"), "{rest}");
}

#[test]
fn run_that_is_not_interrupted_ends_well() {
    let place = Place::new();
    let run = Waiting::start(&place, &["a", "w1", "b"]);
    let workers = workers(run.child.id());
    run.flag.raise();
    assert_eq!(run.end(), (Some(0), "a\nw1\nb\n".to_owned(), String::new()));
    assert!(workers.iter().all(|(_, worker)| ended(worker)));
}

#[test]
fn killed_run_leaves_no_process_and_no_file() {
    let place = Place::new();
    let run = Waiting::start(&place, &["w0", "w1", "w2"]);
    let wrun = run.child.id();
    let workers = workers(wrun);
    for process in workers.iter().map(|(pid, _)| *pid).chain([wrun]) {
        let open = open_files(process);
        assert!(!open.is_empty(), "process {process} shows no open files");
        let theirs = |path: &Path| path.starts_with("/dev/shm") || path.starts_with(run.tmp.path());
        // The test's own files may be in `/dev/shm`, too.
        let left = |path: &Path| theirs(path) && path != run.flag.path();
        assert!(!open.iter().any(|path| left(path)), "{open:?}");
    }
    run.signal(Signal::KILL);
    assert_eq!(run.end(), (None, String::new(), String::new()));
    for (pid, worker) in &workers {
        assert!(ended(worker), "worker {pid} is still alive");
    }
}

#[test]
fn killed_program_leaves_no_process() {
    let place = Place::new();
    let mut child = place.wrun(&["run", "kit.wat", "--call", "loop-l", "loop"]).spawn().expect("wrun starts");
    let worker = wait_for(|| children_of(child.id()).into_iter().find(|worker| is_worker(*worker)));
    let worker = pidfd_open(pid(worker), PidfdFlags::empty()).expect("it runs");
    kill_process(pid(child.id()), Signal::TERM).expect("wrun runs");
    let status = child.wait().expect("the end");
    assert!(!status.success());
    assert!(ended(&worker), "the worker is still alive");
}

/// Whether a process is a worker, and not the compiler.
fn is_worker(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.contains("worker"))
}
