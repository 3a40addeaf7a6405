//! One signal ends a run, even if nobody reads what it writes, or nobody writes what it reads.

use std::io::Read;
use std::process::{Child, Command};
use std::time::Instant;

use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open};

use crate::cli::kit::Place;
use crate::cli::signals::{children_of, ended, pid};
use crate::support::{PATIENCE, wait_for};

/// Waits until a pipe that nobody reads is full, so that its writer is blocked.
pub fn wait_until_full(pipe: &impl std::os::fd::AsFd) {
    let start = Instant::now();
    let mut last = 0;
    let mut since = Instant::now();
    // It is full when nothing is added: results may be longer than what is left.
    while last < 16 << 10 || since.elapsed().as_millis() < 500 {
        let now = rustix::io::ioctl_fionread(pipe).expect("a pipe");
        if now != last {
            (last, since) = (now, Instant::now());
        }
        assert!(start.elapsed() < PATIENCE, "it has only {now} bytes");
        std::thread::yield_now();
    }
}

/// Sends one signal to a run that is blocked; it must end with its workers, by itself.
fn assert_ends(mut child: Child, signal: Signal, what: &str) {
    let wrun = pidfd_open(pid(child.id()), PidfdFlags::empty()).expect("it runs");
    let workers: Vec<_> = children_of(child.id())
        .into_iter()
        .filter_map(|worker| pidfd_open(pid(worker), PidfdFlags::empty()).ok())
        .collect();
    kill_process(pid(child.id()), signal).expect("it runs");
    assert!(ended(&wrun), "{what} is alive after {signal:?}");
    let code = child.wait().expect("the end").code();
    // A file that cannot be written is an error of its own.
    let wanted = if what.contains("fifo") { Some(1) } else { Some(130) };
    assert_eq!(code, wanted, "{what} {signal:?}");
    assert!(workers.iter().all(ended), "{what}: a worker is alive");
}

const SIGNALS: [Signal; 2] = [Signal::TERM, Signal::INT];

#[test]
fn results_that_nobody_reads() {
    let place = Place::new();
    place.file("items", (0..300).map(|n| format!("{n}\n")).collect::<String>());
    let many = many_items(&place);
    for (call, items, options) in
        [("zeros", "items", &[][..]), ("zeros", "items", &["--unordered"]), ("echo", &many, &["--json"])]
    {
        for signal in SIGNALS {
            let args = [&["map", "kit.wat", "--call", call, "-j2", "--items", items], options].concat();
            let child = place.wrun(&args).spawn().expect("wrun starts");
            wait_until_full(child.stdout.as_ref().expect("a pipe"));
            assert_ends(child, signal, "a run whose results nobody reads");
        }
    }
}

fn many_items(place: &Place) -> String {
    place.file("many", (0..30_000).map(|n| format!("{n}\n")).collect::<String>());
    "many".to_owned()
}

#[test]
fn messages_that_nobody_reads() {
    let place = Place::new();
    let items = many_items(&place);
    for options in [&[][..], &["--progress", "json"], &["--results", "out"]] {
        for signal in SIGNALS {
            let args = [&["map", "kit.wat", "--call", "fail", "-j2", "--items", &items], options].concat();
            let child = place.wrun(&args).spawn().expect("wrun starts");
            wait_until_full(child.stderr.as_ref().expect("a pipe"));
            assert_ends(child, signal, "a run whose messages nobody reads");
            let _ = std::fs::remove_dir_all(place.path().join("out"));
        }
    }
}

#[test]
fn files_that_are_pipes_and_that_nobody_reads() {
    let place = Place::new();
    let items = many_items(&place);
    let made = Command::new("mkfifo").arg(place.path().join("fifo")).status().expect("mkfifo starts");
    assert!(made.success(), "a pipe");
    for option in ["--joblog", "--trace"] {
        for signal in SIGNALS {
            let fifo = place.path().join("fifo");
            let reader = std::thread::spawn(move || std::fs::File::open(fifo).expect("a pipe"));
            let args = ["map", "kit.wat", "--call", "echo", "-j2", "--items", &items, option, "fifo"];
            let mut command = place.wrun(&args);
            let child = command.stdout(std::process::Stdio::null()).spawn().expect("wrun starts");
            let reader = reader.join().expect("no panic");
            wait_until_full(&reader);
            assert_ends(child, signal, &format!("a run with a fifo that nobody reads for {option}"));
        }
    }
}

#[test]
fn items_that_nobody_writes() {
    let place = Place::new();
    for signal in SIGNALS {
        let mut command = place.wrun(&["map", "kit.wat", "--call", "echo", "-j1"]);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("wrun starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, b"a\n").expect("a reader");
        // The first result shows that the run has begun.
        child.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 2]).expect("a result");
        assert_ends(child, signal, "a run whose items nobody writes");
        drop(stdin);
    }
}

#[test]
fn an_attached_program_ends_with_its_signal() {
    let place = Place::new();
    // It writes 64 KiB again and again, or reads.
    let program = |act: &str| {
        format!(
            r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\10\00\00\00\00\00\01\00")
  (func (export "_start") (loop (drop (call {act} (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))"#
        )
    };
    place.file("write.wat", program("$write (i32.const 1)"));
    place.file("read.wat", program("$read (i32.const 0)"));
    for module in ["write.wat", "read.wat"] {
        for signal in SIGNALS {
            let mut command = place.wrun(&["run", module]);
            let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("wrun starts");
            if module == "write.wat" {
                wait_until_full(child.stdout.as_ref().expect("a pipe"));
            } else {
                wait_for(|| (!children_of(child.id()).is_empty()).then_some(()));
            }
            let wrun = pidfd_open(pid(child.id()), PidfdFlags::empty()).expect("it runs");
            kill_process(pid(child.id()), signal).expect("it runs");
            assert!(ended(&wrun), "{module} {signal:?}");
            child.wait().expect("the end");
        }
    }
}
