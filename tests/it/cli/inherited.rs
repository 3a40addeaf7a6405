//! What the command inherits: signals that are ignored or blocked, an odd umask, non-blocking standard streams.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Signal, kill_process};

use crate::cli::kit::{Place, hello, ok, output, said, texts};
use crate::cli::life_cycle::says;
use crate::cli::signals::{children_of, pid};
use crate::cli::unread::wait_until_full;
use crate::support::{Flag, WRUN, kill, worker_that_maps};

/// A run whose only task waits for the flag, started by `env` with these options.
fn started_by_env(place: &Place, flag: &Flag, env: &[&str]) -> Child {
    let wrun = place.wrun(&[]);
    let mut command = Command::new("env");
    command.args(env).arg(WRUN).args(["map", "kit.wat", "--call", "wait-w", "-j1", "w", "-i"]);
    command.arg(format!("flag={}", flag.path().display())).current_dir(place.path());
    command.env_clear().envs(wrun.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("env starts");
    worker_that_maps(flag.path());
    child
}

#[test]
fn signals_that_were_ignored_stay_ignored() {
    let place = Place::new();
    let flag = Flag::new();
    let ignored = ["--ignore-signal=INT", "--ignore-signal=TERM", "--ignore-signal=HUP", "--ignore-signal=TSTP"];
    let child = started_by_env(&place, &flag, &ignored);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::TSTP, Signal::INT] {
        kill_process(pid(child.id()), signal).expect("it runs");
    }
    flag.raise();
    assert_eq!(texts(output(child)), ok("w\n"));
}

#[test]
fn signals_that_were_blocked_have_their_effect() {
    let place = Place::new();
    let flag = Flag::new();
    let child = started_by_env(&place, &flag, &["--default-signal", "--block-signal"]);
    kill_process(pid(child.id()), Signal::TERM).expect("it runs");
    let said = texts(output(child));
    assert_eq!((said.code, said.stdout.as_str()), (Some(130), ""));
    assert!(said.stderr.starts_with("wrun: stopping the running tasks\n"), "{}", said.stderr);
}

#[test]
fn workers_and_compilers_are_waited_for_even_if_their_end_was_to_be_ignored() {
    let place = Place::new();
    let flag = Flag::new();
    // With an empty cache, so that the module is compiled.
    let cache = format!("WRUN_CACHE_DIR={}", place.path().join("cache").display());
    let child = started_by_env(&place, &flag, &["--ignore-signal=CHLD", "--ignore-signal=PIPE", &cache]);
    kill(children_of(child.id())[0]);
    let said = texts(output(child));
    assert_eq!((said.code, said.stdout.as_str()), (Some(100), ""));
    assert!(said.stderr.starts_with("task 0 (w) failed: its worker was killed by SIGKILL"), "{}", said.stderr);
}

#[test]
fn files_can_be_used_again_whatever_the_umask() {
    let place = Place::new();
    let before = "umask 0777; export WRUN_CACHE_DIR=$PWD/cache/of/wrun";
    let words = "map kit.wat --call echo a --cache --joblog log --results out";
    assert_eq!(says(&place, before, words, ""), ok(""));
    assert_eq!(says(&place, before, &format!("{words} --resume"), ""), ok(""));
    let mode = |name: &str| {
        let metadata = std::fs::metadata(place.path().join(name)).expect("it was made");
        metadata.permissions().mode() & 0o777
    };
    for directory in ["cache/of/wrun", "out"] {
        assert_eq!(mode(directory), 0o700, "{directory}");
    }
    for file in ["log", "out/0.out"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let entries = std::fs::read_dir(place.path().join("cache/of/wrun")).expect("a directory").flatten();
    let modes: Vec<u32> = entries.map(|entry| entry.metadata().expect("a file").permissions().mode() & 0o777).collect();
    assert!(!modes.is_empty() && modes.iter().all(|mode| mode & 0o600 == 0o600), "{modes:?}");
}

/// Makes a pipe non-blocking for everybody who shares this end.
fn make_non_blocking(end: impl AsFd) {
    let flags = fcntl_getfl(&end).expect("a pipe");
    fcntl_setfl(&end, flags | OFlags::NONBLOCK).expect("a pipe");
}

const COUNT: usize = 20_000;

fn many_items(place: &Place) {
    place.file("items", (0..COUNT).map(|n| format!("{n}\n")).collect::<String>());
}

#[test]
fn all_results_go_to_a_non_blocking_standard_output() {
    let place = Place::new();
    many_items(&place);
    for (words, wanted) in [
        (&["--items", "items"][..], None),
        (&["--items", "items", "--json"], Some("status")),
        (&["--items", "items", "--dry-run"], Some("wrun run")),
        (&["--items", "items", "--unordered", "--progress", "none"], None),
    ] {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        make_non_blocking(&writer);
        let mut command = place.wrun(&[&["map", "kit.wat", "--call", "echo"], words].concat());
        let child = command.stdout(writer).spawn().expect("wrun starts");
        // The command has the pipe's other end as well.
        drop(command);
        wait_until_full(&reader);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(texts(output(child)), said(0, "", ""), "{words:?}");
        assert_eq!(text.lines().count(), COUNT, "{words:?}");
        assert!(wanted.is_none_or(|wanted| text.lines().all(|line| line.contains(wanted))), "{words:?}");
    }
}

#[test]
fn all_messages_go_to_a_non_blocking_standard_error() {
    let place = Place::new();
    many_items(&place);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    make_non_blocking(&writer);
    let mut command = place.wrun(&["map", "kit.wat", "--call", "fail", "--items", "items"]);
    let child = command.stderr(writer).spawn().expect("wrun starts");
    drop(command);
    wait_until_full(&reader);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    assert_eq!(output(child).status.code(), Some(100));
    // Two lines for each failure, and one for all.
    assert_eq!(text.lines().count(), 2 * COUNT + 1);
}

#[test]
fn items_come_from_a_non_blocking_standard_input() {
    let place = Place::new();
    for words in [&[][..], &["--items", "-"]] {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        make_non_blocking(&reader);
        let mut command = place.wrun(&[&["map", "kit.wat", "--call", "echo"], words].concat());
        let mut child = command.stdin(reader).spawn().expect("wrun starts");
        drop(command);
        // A result shows that it reads, and then it has to wait.
        let mut stdout = child.stdout.take().expect("a pipe");
        for item in ["1", "2"] {
            writeln!(writer, "{item}").expect("a reader");
            let mut result = [0; 2];
            stdout.read_exact(&mut result).expect("a result");
            assert_eq!(result, [item.as_bytes()[0], b'\n']);
        }
        drop(writer);
        assert_eq!(texts(output(child)), ok(""), "{words:?}");
    }
}

#[test]
fn an_attached_program_has_streams_that_wait_even_if_they_are_non_blocking() {
    let place = Place::new();
    let (input, mut writer) = std::io::pipe().expect("a pipe");
    let (mut reader, printed) = std::io::pipe().expect("a pipe");
    make_non_blocking(&input);
    make_non_blocking(&printed);
    let text = "a line of text\n".repeat(20_000);
    let mut command = place.wrun(&["run", &hello()]);
    let child = command.stdin(input).stdout(printed).spawn().expect("wrun starts");
    drop(command);
    let mut shouted = String::new();
    std::thread::scope(|scope| {
        let text = text.as_bytes();
        scope.spawn(move || writer.write_all(text).expect("a reader"));
        wait_until_full(&reader);
        reader.read_to_string(&mut shouted).expect("text");
    });
    assert_eq!(texts(output(child)), ok(""));
    assert!(shouted.ends_with(&text.to_uppercase()), "{} bytes", shouted.len());
}
