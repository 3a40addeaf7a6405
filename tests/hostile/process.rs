//! What a worker process has access to, seen from outside while it runs a guest.

use std::collections::BTreeMap;
use std::fs;

use super::huge::functions;
use crate::cli::kit::Place;
use crate::support::{self, Flag, open_files, wait_for, worker_that_maps};

/// The fields of `/proc/PID/status`.
fn status(pid: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

/// A soft limit of a process (proc(5), `limits`).
fn limit(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/limits")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the limit");
    line.split_whitespace().next().expect("a soft limit").to_owned()
}

fn environment(pid: u32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).expect("a process")
}

/// Whether a process blocks this signal (proc(5), `status`).
fn blocks(pid: u32, signal: rustix::process::Signal) -> bool {
    let set = u64::from_str_radix(&status(pid)["SigBlk"], 16).expect("a set of signals");
    set >> (signal.as_raw() - 1) & 1 == 1
}

/// Checks that interrupts do not reach a child of this pool, and job control does.
fn assert_only_job_control_reaches(child: u32, pool: u32) {
    use rustix::process::Signal;

    assert_eq!(group(child), group(pool), "the terminal's signals go to both");
    for interrupt in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::ALARM, Signal::USR2] {
        assert!(blocks(child, interrupt), "{interrupt:?}");
        // The control. The pool blocks them as well at the moment at which it starts a child.
        wait_for(|| (!blocks(pool, interrupt)).then_some(()));
    }
    for kept in [Signal::TSTP, Signal::CONT, Signal::TTIN, Signal::SEGV, Signal::BUS] {
        // A child unblocks them at its start.
        wait_for(|| (!blocks(child, kept)).then_some(()));
    }
}

/// The process group (proc(5), `stat`: the third field after the name).
fn group(pid: u32) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields = text.rsplit_once(')').expect("a name").1;
    fields.split_whitespace().nth(2).expect("a group").parse().expect("a number")
}

#[test]
fn a_worker_has_nothing_that_it_does_not_need() {
    let place = Place::new();
    let flag = Flag::new();
    let input = format!("flag={}", flag.path().display());
    let mut command = place.wrun(&["map", "kit.wat", "--call", "wait-w", "-j1", "-i", &input, "--timeout", "20s", "w"]);
    // The pool's process has a secret in its environment, and an open file of its own.
    let secret = fs::File::open(place.file("secret", "x")).expect("a file");
    let pool = command.env("WRUN_TEST_SECRET", "x").stdin(secret).spawn().expect("wrun starts");
    let worker = worker_that_maps(flag.path());

    assert!(!environment(pool.id()).is_empty(), "the control");
    assert_eq!(environment(worker), b"", "nothing in its environment");

    let has_secret = |pid: u32| open_files(pid).iter().any(|file| file.ends_with("secret"));
    assert!(has_secret(pool.id()), "the control");
    let open = open_files(worker);
    assert!(!has_secret(worker), "{open:?}");
    // Besides its own anonymous files and sockets: the input, the compiled module, and the file that says which of its own pages were
    // written.
    let own = format!("/proc/{worker}/pagemap");
    let cache = format!("{}/", support::cache_dir().display());
    let is_own =
        |path: &str| ["/dev/null", &own].contains(&path) || path.starts_with("/memfd:") || path.starts_with(&cache);
    let others: Vec<_> = open.iter().filter(|path| path.is_absolute() && !is_own(&path.to_string_lossy())).collect();
    assert_eq!(others, [flag.path()], "{open:?}");

    assert_only_job_control_reaches(worker, pool.id());
    assert_eq!(limit(worker, "Max core file size"), "0");
    let missing = place.says(&["inspect", "--sandbox"]).stdout;
    for (layer, field, value) in [("no new privileges", "NoNewPrivs", "1"), ("seccomp", "Seccomp", "2")] {
        // A machine may lack a layer, which is then reported.
        let line = missing.lines().find(|line| line.trim_start().starts_with(layer)).expect(layer);
        assert!(status(worker)[field] == value || line.contains("missing: "), "{field}: {:?}", status(worker)[field]);
    }
    flag.raise();
    let output = crate::cli::kit::output(pool);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"w\n"[..]));
}

/// Kills the pool, and waits until the process is gone as well.
fn assert_dies_with(process: u32, mut pool: std::process::Child) {
    pool.kill().expect("a process of this test's");
    pool.wait().expect("its end");
    let is_gone = || fs::read_to_string(format!("/proc/{process}/stat")).map_or(true, |stat| stat.contains(") Z "));
    wait_for(|| is_gone().then_some(()));
}

/// The child processes of `parent`.
fn children(parent: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc").expect("/proc").flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        // Some exit in the meantime.
        let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|pid| pid.trim() == parent.to_string()))
    };
    all.filter(is_child).collect()
}

#[test]
fn a_compiler_has_its_module_and_nothing_else_and_dies_with_its_pool() {
    let place = Place::new();
    place.file("m.wasm", functions(100_000));
    let secret = fs::File::open(place.file("secret", "x")).expect("a file");
    let mut command = place.wrun(&["map", "m.wasm", ""]);
    // An empty cache, so that the module is compiled even if an earlier run of this test has cached it.
    command.env("WRUN_TEST_SECRET", "x").env("WRUN_CACHE_DIR", place.path().join("cache"));
    let pool = command.stdin(secret).spawn().expect("wrun starts");
    // The filter of system calls is the last layer that it applies before it reads the module.
    let memory = (4u64 << 30).to_string();
    let is_confined = |pid: &u32| status(*pid).get("Seccomp").is_some_and(|mode| mode == "2");
    let compiler = wait_for(|| children(pool.id()).into_iter().find(is_confined));
    assert_eq!((limit(compiler, "Max data size"), status(compiler)["NoNewPrivs"].as_str()), (memory.clone(), "1"));
    assert_ne!(limit(pool.id(), "Max data size"), memory, "the control");
    assert_ne!(status(pool.id())["Seccomp"], "2", "the control");
    assert!(!environment(pool.id()).is_empty(), "the control");
    assert_eq!(environment(compiler), b"", "nothing in its environment");
    let open = open_files(compiler);
    let is_own = |path: &str| path.starts_with("/memfd:") || path == format!("/proc/{compiler}/pagemap");
    assert!(open.len() >= 3 && open.iter().all(|file| is_own(&file.to_string_lossy())), "{open:?}");
    assert_only_job_control_reaches(compiler, pool.id());
    assert_dies_with(compiler, pool);
}

#[test]
fn an_initializer_runs_with_its_module_and_nothing_else_and_dies_with_its_pool() {
    let place = Place::new();
    place.file("m.wat", r#"(module (memory (export "memory") 1) (func (export "wizer-initialize") (loop (br 0))))"#);
    let secret = fs::File::open(place.file("secret", "x")).expect("a file");
    let mut command = place.wrun(&["snapshot", "m.wat", "-o", "s.wasm"]);
    let pool = command.env("WRUN_TEST_SECRET", "x").stdin(secret).spawn().expect("wrun starts");
    // The second filter forbids new code. It is the last layer that comes before the initializer.
    let filters = |thread: &fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")?.trim().parse::<u32>().ok())
    };
    let threads = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let ours = threads(std::process::id()).filter_map(|thread| filters(&thread)).max().unwrap_or(0);
    let is_closed = |pid: &u32| threads(*pid).any(|thread| filters(&thread) == Some(ours + 2));
    let process = wait_for(|| children(pool.id()).into_iter().find(is_closed));
    assert_eq!(
        (limit(process, "Max data size"), status(process)["NoNewPrivs"].as_str()),
        ((4u64 << 30).to_string(), "1")
    );
    assert_eq!(environment(process), b"", "nothing in its environment");
    let open = open_files(process);
    let is_own = |path: &str| {
        let is_memory = path.starts_with("/memfd:") || path == format!("/proc/{process}/pagemap");
        is_memory || path.starts_with("socket:") || path.starts_with("anon_inode:") || path == "/dev/null"
    };
    assert!(open.len() >= 3 && open.iter().all(|file| is_own(&file.to_string_lossy())), "{open:?}");
    assert_only_job_control_reaches(process, pool.id());
    assert_dies_with(process, pool);
    assert!(!place.path().join("s.wasm").exists());
}
