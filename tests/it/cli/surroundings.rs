//! The command where the system allows it little: limits of processes, threads, memory, file sizes, descriptors and stacks. Each is
//! named, and none is blamed on a module or a task.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::kit::{Place, Said, finish, program, said};
use super::life_cycle::says;
use crate::support::WRUN;

/// The message's one line, without `wrun: `.
fn one_line(said: &Said) -> &str {
    let line = said.stderr.strip_prefix("wrun: ").and_then(|line| line.strip_suffix('\n'));
    line.filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("not one line: {}", said.stderr))
}

/// A user who has no processes, for tests that run as root. The limit of processes does not apply to root.
const USER: &str = "54321";

/// Runs `wrun` in `place` where its user may have this many processes and threads.
fn with_processes(place: &Place, count: u32, words: &[&str]) -> Said {
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "--", "prlimit"]);
            command
        }
        false => Command::new("prlimit"),
    };
    // A relative path, because other users may not be able to access the parent directories.
    command.arg(format!("--nproc={count}")).args(["--", "./wrun"]).args(words);
    command.current_dir(place.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear().env("WRUN_CACHE_DIR", "cache");
    finish(command)
}

/// A place with a copy of `wrun` that everyone may run.
fn place_for_everybody() -> Place {
    let place = Place::new();
    // Another process makes the copy: a file that this process, or a child that another test starts at that moment, has open for
    // writing cannot be executed.
    let copied = Command::new("cp").args([WRUN, "wrun"]).current_dir(place.path()).status().expect("cp");
    assert!(copied.success(), "a copy");
    place.file("program.wat", program(0));
    for name in ["", "wrun", "kit.wat", "program.wat"] {
        let everybody = PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(place.path().join(name), everybody).expect("a file of ours");
    }
    place
}

#[test]
fn where_few_processes_are_allowed_fewer_workers_run_all_tasks() {
    let place = place_for_everybody();
    let none = with_processes(&place, 1, &["map", "kit.wat", "--call", "echo", "a"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""));
    assert!(one_line(&none).contains("Resource temporarily unavailable (os error 11): raise the limits of processes"));
    if !rustix::process::geteuid().is_root() {
        // How many processes this user has is not known.
        return;
    }
    // One process after the other finds that there is no room: the compiler, the thread for signals, workers and their threads.
    let fewer = "wrun: warning: the run goes on with fewer workers: one ";
    let tasks: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let words: Vec<&str> = ["map", "program.wat", "-j", "16"].into_iter().chain(tasks.iter().map(|n| &**n)).collect();
    let mut warned = 0;
    for count in [2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 24, 32] {
        let said = with_processes(&place, count, &words);
        let of_wrun = |line: &&str| line.starts_with("wrun: ") && !line.contains("compiled code is not cached");
        let lines: Vec<&str> = said.stderr.lines().filter(of_wrun).collect();
        assert!(
            lines.iter().all(|line| line.contains("(os error 11): raise the limits of processes")),
            "{count}: {lines:?}"
        );
        match said.code {
            Some(0) => {
                assert_eq!(said.stdout, "out\n".repeat(50), "{count}");
                assert!(lines.iter().all(|line| line.starts_with(fewer)), "{count}: {lines:?}");
                warned += lines.len();
            }
            code => assert!(code == Some(1) && said.stdout.is_empty() && count < 10, "{count}: {said:?}"),
        }
    }
    assert!(warned > 0, "the control");
    // Compilation takes more threads than there may be, and does without.
    let compiled = with_processes(&place, 7, &["map", "kit.wat", "--call", "echo", "-j", "1", "a"]);
    assert_eq!((compiled.code, compiled.stdout.as_str()), (Some(0), "a\n"), "{}", compiled.stderr);
}

#[test]
fn a_lack_of_memory_names_its_limit() {
    let place = Place::new();
    place.says(&["map", "kit.wat", "--call", "echo", "a"]);
    place.file("items", "a\n");
    // Threads start here and there, until their stacks or a worker find no memory.
    for (limit, names) in [("-d 4096", "ulimit -d"), ("-d 8192", "ulimit -d"), ("-d 16384", "ulimit -d")] {
        let said = says(&place, &format!("ulimit {limit}"), "map kit.wat --call echo", "< items");
        assert_eq!((said.code, said.stdout.as_str()), (Some(1), ""), "{limit}: {}", said.stderr);
        assert!(one_line(&said).contains(names), "{limit}: {}", said.stderr);
    }
    // Compiled here: a module of its own.
    let module =
        |name: &str| format!(r#"(module (func (export "f") (result i32) (i32.const 7)) (func (export "{name}")))"#);
    for (limit, names) in [("-v 1500000", "address space (ulimit -v)"), ("-d 20000", "private memory (ulimit -d)")] {
        place.file("new.wat", module(limit));
        let said = says(&place, &format!("ulimit {limit}"), "map new.wat --call f ''", "");
        let line = one_line(&said);
        assert!(said.code == Some(1) && line.contains(names) && !line.contains("--compile-memory"), "{line}");
    }
}

#[test]
fn a_worker_reserves_no_more_address_space_than_it_may() {
    let place = Place::new();
    place.file(
        "three.wat",
        r#"(module (memory 1) (memory 1) (memory 1) (func (export "f") (result i32) (i32.const 7)))"#,
    );
    assert_eq!(says(&place, "ulimit -v 6000000", "map kit.wat --call echo a b", ""), said(0, "a\nb\n", ""));
    assert_eq!(says(&place, "ulimit -v 24000000", "map three.wat --call f ''", ""), said(0, "7\n", ""));
    for cached in [":", "export WRUN_CACHE_DIR=new"] {
        let few = says(&place, &format!("ulimit -v 12000000; {cached}"), "map three.wat --call f ''", "");
        assert!(one_line(&few).contains("(ulimit -v) leaves room for 2 memories"), "{few:?}");
    }
}

#[test]
fn a_limit_of_file_sizes_is_named_where_a_module_is_compiled() {
    let place = Place::new();
    place.file("new.wat", r#"(module (func (export "a module of this test alone") (result i32) (i32.const 7)))"#);
    let said = says(&place, "ulimit -f 20", "map new.wat ''", "");
    assert!(said.code == Some(1) && one_line(&said).contains("file sizes (ulimit -f), 10240 bytes"), "{said:?}");
}

#[test]
fn a_small_stack_of_the_main_thread_is_enough() {
    let place = Place::new();
    place.file("new.wat", r#"(module (func (export "another module of this test") (result i32) (i32.const 7)))"#);
    assert_eq!(says(&place, "ulimit -s 128", "map new.wat ''", ""), said(0, "7\n", ""));
}

#[test]
fn a_limit_of_processor_time_is_named() {
    let place = Place::new();
    let said = says(&place, "ulimit -t 1", "map kit.wat --call loop-l l", "");
    assert_eq!(said.code, Some(100));
    assert!(said.stderr.starts_with("task 0 (l) failed: its worker was killed by SIG"), "{}", said.stderr);
    assert!(said.stderr.contains("ulimit -t"), "{}", said.stderr);
}

#[test]
fn own_lack_of_descriptors_is_never_a_workers_fault() {
    let place = Place::new();
    let long: String = (100..300).map(|n| n.to_string().repeat(30_000) + "\n").collect();
    place.file("long", &long);
    let mut passed = 0;
    for few in 13..26 {
        // The shell passes none of its own on.
        let before = format!("ulimit -n {few}; exec 9<&- 8<&- 7<&- 6<&- 5<&- 4<&- 3<&-");
        let said = says(&place, &before, "map kit.wat --call echo -j 2 --max-argument 1M", "< long");
        match said.code {
            Some(0) => {
                assert!(said.stdout == long, "{few}");
                assert!(
                    said.stderr.is_empty() || one_line(&said).contains("with fewer workers"),
                    "{few}: {}",
                    said.stderr
                );
                passed += 1;
            }
            _ => {
                assert!(
                    said.stderr.lines().all(|line| line.contains("Too many open files (os error 24)")
                        || line.ends_with("of 200 tasks failed")),
                    "{few}: {}",
                    said.stderr
                )
            }
        }
    }
    assert!(passed > 2, "{passed}");
}
