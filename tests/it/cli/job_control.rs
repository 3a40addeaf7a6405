//! Runs that are stopped and continued: by signals to one process, from a terminal, or by something that stops everything.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::cli::kit::{Place, ok, output, texts};
use crate::cli::signals::{children_of, pid};
use crate::support::{Flag, WRUN, wait_for, worker_that_maps};

/// The state of a process (proc(5), `stat`): `T` if it is stopped.
fn state(process: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process is in the foreground process group of its terminal (proc(5), `stat`: `pgrp` and `tpgid`).
fn is_in_foreground(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, fields)| fields).split(' ').collect();
    fields.len() > 5 && fields[2] == fields[5]
}

fn wait_until_stopped(processes: &[u32], stopped: bool) {
    for process in processes {
        wait_for(|| (state(*process)? == 'T').eq(&stopped).then_some(()));
    }
}

fn signal(process: u32, signal: Signal) {
    kill_process(pid(process), signal).expect("it runs");
}

/// Lets this time pass.
fn pass(time: Duration) {
    let (_keep, nothing) = channel::<()>();
    assert_eq!(nothing.recv_timeout(time), Err(RecvTimeoutError::Timeout));
}

/// A run in a process group of its own whose only task waits for the flag, and its processes.
fn waiting(place: &Place, flag: &Flag, options: &[&str]) -> (Child, Vec<u32>) {
    let input = format!("flag={}", flag.path().display());
    let args = [&["map", "kit.wat", "--call", "wait-w", "-j1", "-i", &input], options, &["w"]].concat();
    let child = place.wrun(&args).process_group(0).spawn().expect("wrun starts");
    worker_that_maps(flag.path());
    let all = [vec![child.id()], children_of(child.id())].concat();
    assert_eq!(all.len(), 2, "the control");
    (child, all)
}

#[test]
fn a_pause_of_pool_and_workers_is_not_the_tasks_time() {
    let place = Place::new();
    let flag = Flag::new();
    let (child, all) = waiting(&place, &flag, &["--timeout", "6s"]);
    all.iter().for_each(|process| signal(*process, Signal::STOP));
    wait_until_stopped(&all, true);
    // More than a worker may be silent beyond the limit.
    pass(Duration::from_secs(9));
    all.iter().for_each(|process| signal(*process, Signal::CONT));
    flag.raise();
    assert_eq!(texts(output(child)), ok("w\n"));
}

#[test]
fn a_task_that_hangs_is_stopped_after_a_pause_as_well() {
    let place = Place::new();
    let flag = Flag::new();
    let (child, all) = waiting(&place, &flag, &["--timeout", "1s"]);
    all.iter().for_each(|process| signal(*process, Signal::STOP));
    wait_until_stopped(&all, true);
    all.iter().for_each(|process| signal(*process, Signal::CONT));
    let said = texts(output(child));
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    assert!(said.stderr.starts_with("task 0 (w) failed: timed out after 1s"), "{}", said.stderr);
}

#[test]
fn workers_stop_and_continue_with_their_pool() {
    let place = Place::new();
    let flag = Flag::new();
    let (child, all) = waiting(&place, &flag, &[]);
    for _ in 0..3 {
        signal(child.id(), Signal::TSTP);
        wait_until_stopped(&all, true);
        signal(child.id(), Signal::CONT);
        wait_until_stopped(&all, false);
    }
    flag.raise();
    assert_eq!(texts(output(child)), ok("w\n"));
}

#[test]
fn a_compiler_stops_and_continues_with_its_command() {
    let place = Place::new();
    place.file("long.wat", crate::cli::life_cycle::long_to_compile());
    for words in [&["compile", "long.wat", "-o", "long.cwasm"][..], &["run", "long.wat", "1"]] {
        let mut command = place.wrun(words);
        // An empty cache for each, so that the module is compiled.
        command.env("WRUN_CACHE_DIR", place.path().join(words[0])).process_group(0);
        let mut child = command.spawn().expect("wrun starts");
        let compiles = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words.contains("compile"))
        };
        let compiler = wait_for(|| children_of(child.id()).into_iter().find(compiles));
        let both = [child.id(), compiler];
        signal(child.id(), Signal::TSTP);
        wait_until_stopped(&both, true);
        signal(child.id(), Signal::CONT);
        wait_until_stopped(&both, false);
        signal(child.id(), Signal::KILL);
        child.wait().expect("the end");
    }
}

/// Prints a line again and again.
const TICK: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\05\00\00\00") (data (i32.const 16) "tick\n")
  (func (export "_start") (local $n i32)
    (loop $again
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $n (i32.const 10000000))
      (loop $pause (br_if $pause (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (br $again))))"#;

/// Prints the first bytes of its standard input.
const READ: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\20\00\00\00\10\00\00\00")
  (func (export "_start")
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// This command with a terminal of its own, at which these words were typed.
fn terminal(place: &Place, command: &str) -> Child {
    let wrun = place.wrun(&[]);
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-c", command, "/dev/null"]).current_dir(place.path());
    script.env_clear().envs(wrun.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("EXE", WRUN).env("TERM", "dumb").env("PATH", "/usr/bin:/bin").env("PS1", "ready>");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("script starts")
}

/// What a terminal shows.
struct Screen {
    pipe: ChildStdout,
    unread: String,
}

impl Screen {
    fn of(child: &mut Child) -> Screen {
        Screen { pipe: child.stdout.take().expect("a pipe"), unread: String::new() }
    }

    /// Reads up to this text.
    fn read_until(&mut self, shown: &str) {
        let (mut chunk, begun) = ([0; 4096], std::time::Instant::now());
        loop {
            // What ticks for ever would be read for ever.
            assert!(begun.elapsed() < crate::support::PATIENCE, "{shown:?} was not shown in time");
            if let Some((_, rest)) = self.unread.split_once(shown) {
                self.unread = rest.to_owned();
                return;
            }
            let read = self.pipe.read(&mut chunk).expect("a terminal");
            self.unread += &String::from_utf8_lossy(&chunk[..read]);
            assert!(read > 0, "{shown:?} was not shown, but: {:?}", self.unread);
        }
    }
}

#[test]
fn an_attached_program_reads_the_terminal() {
    let place = Place::new();
    place.file("read.wat", READ);
    let mut child = terminal(&place, "exec \"$EXE\" run read.wat");
    child.stdin.as_mut().expect("a pipe").write_all(b"hello\n").expect("a terminal");
    let mut screen = Screen::of(&mut child);
    // Once as the terminal's echo, and once by the program.
    screen.read_until("hello\r\n");
    screen.read_until("hello\r\n");
    drop(child.stdin.take());
    assert_eq!(output(child).status.code(), Some(0));
}

#[test]
fn a_shell_stops_continues_and_interrupts_programs_and_maps() {
    let place = Place::new();
    place.file("tick.wat", TICK);
    place.file("endless.wat", r#"(module (func (export "f") (param i32) (loop (br 0))))"#);
    // What is shown while the command runs in the foreground, or nothing.
    for (words, shown) in [("run tick.wat", "tick\r\n"), ("map endless.wat 1 2 -j2 --progress lines", "done 0 of 2")] {
        let mut child = terminal(&place, "exec bash --norc --noprofile -i");
        let (mut keys, mut screen) = (child.stdin.take().expect("a pipe"), Screen::of(&mut child));
        let mut press = |text: &str| keys.write_all(text.as_bytes()).expect("a terminal");
        screen.read_until("ready>");
        press(&format!("\"$EXE\" {words}\n"));
        screen.read_until(shown);
        // Found by their directory, because other tests run at the same time.
        let processes = processes_in(&place);
        assert!(processes.len() >= 2, "the control: {processes:?}");
        for background in [false, true, false] {
            press("\u{1a}");
            screen.read_until("Stopped");
            wait_until_stopped(&processes, true);
            screen.read_until("ready>");
            if background {
                press("bg\n");
                wait_until_stopped(&processes, false);
            }
            press("fg\n");
            wait_until_stopped(&processes, false);
            wait_for(|| processes.iter().all(|process| is_in_foreground(*process)).then_some(()));
            screen.read_until(shown);
        }
        let interrupts = if words.starts_with("map") { 2 } else { 1 };
        for _ in 0..interrupts {
            press("\u{3}");
            if interrupts == 2 {
                screen.read_until("running tasks");
            }
        }
        screen.read_until("ready>");
        press("echo code=$?\n");
        screen.read_until("code=130");
        wait_for(|| processes_in(&place).is_empty().then_some(()));
        press("exit\n");
        drop(keys);
        screen.pipe.read_to_end(&mut Vec::new()).expect("the end");
        child.wait().expect("the end");
    }
}

/// The processes of the command that run in this directory.
fn processes_in(place: &Place) -> Vec<u32> {
    let here = std::fs::canonicalize(place.path()).expect("a directory");
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_ours = |pid: &u32| {
        let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
        link("cwd") == here && link("exe").to_string_lossy().starts_with(WRUN)
    };
    pids.filter(is_ours).filter(|pid| state(*pid) != Some('Z')).collect()
}
