//! Tests that native code in a confined worker can do nothing that an attacker would want.
//!
//! The tests start their own program again. It confines itself as a worker does (or, as the control, does not) and then tries each
//! act with a direct system call.
#![expect(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "acts as an attacker would; argued once for all acts, at `ACTS`"
)]

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;
use std::process::Command;

use crate::Access;
use crate::sys::path_access::open_directory;

/// Marks a process as the attacker, and says whether it is confined.
const ROLE: &str = "WRUN_TEST_ATTACK";
const NAME: &str = "sys::attack_tests::native_code_in_a_confined_worker_can_do_nothing_outside";

/// An act, and a function that tries it and returns 0 or the negative error number.
type Act = (&'static str, fn() -> i64);

/// Turns a C function's return value into 0 or the negative error number.
fn ended(result: i64) -> i64 {
    if result < 0 { -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(1)) } else { 0 }
}

/// An act that some systems (with Yama) allow nobody to do to its parent; it is undone when the tracer ends.
const TRACE: &str = "trace its parent";

const READ: i32 = libc::O_RDONLY;

/// SAFETY of all acts: each call gets constants, null, or pointers to C strings and structures that outlive the call; what it makes
/// or maps is used by nobody else, and the process ends afterwards.
const ACTS: &[Act] = &[
    ("open a file", || ended(unsafe { libc::open(c"/etc/passwd".as_ptr(), READ) }.into())),
    ("open by openat2", || {
        let how = [0u64; 3];
        ended(unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, c"/etc/passwd".as_ptr(), &raw const how, 24) })
    }),
    ("create a file", || {
        let flags = libc::O_CREAT | libc::O_WRONLY;
        ended(unsafe { libc::open(c"/tmp/wrun-test-attack".as_ptr(), flags, 0o600) }.into())
    }),
    ("look at a path", || {
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        ended(unsafe { libc::stat(c"/etc/passwd".as_ptr(), &raw mut stat) }.into())
    }),
    ("make a TCP socket", || ended(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }.into())),
    ("make a Unix socket", || ended(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) }.into())),
    ("map executable memory", || {
        let protection = libc::PROT_READ | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        ended(if mapped == libc::MAP_FAILED { -1 } else { 0 })
    }),
    ("make memory executable", || {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, flags, -1, 0) };
        ended(unsafe { libc::mprotect(mapped, 4096, libc::PROT_READ | libc::PROT_EXEC) }.into())
    }),
    (TRACE, || ended(unsafe { libc::ptrace(libc::PTRACE_SEIZE, libc::getppid(), 0, 0) })),
    ("signal its parent", || ended(unsafe { libc::kill(libc::getppid(), 0) }.into())),
    ("signal its parent's thread", || {
        let parent = unsafe { libc::getppid() };
        ended(unsafe { libc::syscall(libc::SYS_tgkill, parent, parent, 0) })
    }),
    ("send itself a signal of job control", || {
        // Not SIGSTOP, because the control would not go on.
        let signal = libc::SIGCONT;
        ended(unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal) })
    }),
    ("read another process's memory", || {
        let here = [0u8; 8];
        let mut to = [0u8; 8];
        let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: 8 };
        let remote = libc::iovec { iov_base: here.as_ptr().cast_mut().cast(), iov_len: 8 };
        ended(unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) } as i64)
    }),
    ("fork", || {
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            unsafe { libc::_exit(0) };
        }
        ended(pid)
    }),
    ("execute a program", || {
        // Only its failure can be reported: if it succeeds, this program is gone. So it comes last.
        let argv = [c"true".as_ptr(), std::ptr::null()];
        ended(unsafe { libc::execve(c"/bin/true".as_ptr(), argv.as_ptr(), std::ptr::null()) }.into())
    }),
];

fn attack(confined: bool) {
    if confined {
        assert_eq!(crate::sandbox::confine(&[]), [], "this machine has all layers");
        crate::sandbox::close_code(&[]).expect("this machine has all layers");
    }
    for (name, act) in ACTS {
        println!("act {name}: {}", act());
    }
}

/// How each act ended, in a process of its own; `execute a program` is missing if it succeeded.
fn attacked(role: &str) -> BTreeMap<String, i64> {
    started_again(NAME, role)
}

/// What the test with that name prints, in a process of its own, about each act.
fn started_again(test: &str, role: &str) -> BTreeMap<String, i64> {
    let output = Command::new("/proc/self/exe").args(["--exact", test, "--nocapture"]).env(ROLE, role).output();
    let text = String::from_utf8(output.expect("the attacker ran").stdout).expect("text");
    let acts = text.lines().filter_map(|line| line.split_once("act ")?.1.rsplit_once(": "));
    acts.map(|(name, end)| (name.to_owned(), end.parse().expect("a number"))).collect()
}

#[test]
fn native_code_in_a_confined_worker_can_do_nothing_outside() {
    if let Ok(role) = std::env::var(ROLE) {
        return attack(role == "confined");
    }
    let free = attacked("free");
    let confined = attacked("confined");
    assert_eq!(confined.len(), ACTS.len(), "{confined:?}");
    for (name, _) in ACTS {
        let control = free.get(*name).copied().unwrap_or(0);
        let refused_to_all = *name == TRACE && control == -i64::from(libc::EPERM);
        assert!(control == 0 || refused_to_all, "without the sandbox a process can {name}: {control}");
        let denied = [-i64::from(libc::EPERM), -i64::from(libc::EACCES), -i64::from(libc::ENOSYS)];
        assert!(denied.contains(&confined[*name]), "a confined worker can {name}: {}", confined[*name]);
    }
    assert!(!free.contains_key("execute a program"), "the control was executed away");
    std::fs::remove_file("/tmp/wrun-test-attack").expect("the control made it");
}

const GRANT_NAME: &str = "sys::attack_tests::a_granted_directory_is_in_reach_and_nothing_else";

/// Tries acts in the process's own directory `d`, and outside of it.
fn act_in_directories(writable: bool) {
    let here = std::env::temp_dir().join(format!("wrun-test-grant-{}", std::process::id()));
    std::fs::create_dir_all(here.join("d")).expect("a directory");
    std::fs::write(here.join("d/file"), "").expect("a file");
    std::fs::write(here.join("secret"), "").expect("a file");
    let access = if writable { Access::ReadWrite } else { Access::ReadOnly };
    let directory = open_directory(&here.join("d")).expect("a directory");
    // The parent removes it; this process will not be able to.
    println!("act directory {}: 0", here.display());
    let granted = [(directory, access)];
    assert_eq!(crate::sandbox::confine(&granted), [], "this machine has all layers");
    crate::sandbox::close_code(&granted).expect("this machine has all layers");
    let open = |path: &str, flags: i32| {
        let path = CString::new(here.join(path).into_os_string().into_encoded_bytes()).expect("no NUL");
        // SAFETY: a live C string; the mode is only used if a file is created.
        ended(unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags, 0o600) }.into())
    };
    println!("act read inside: {}", open("d/file", READ));
    println!("act write inside: {}", open("d/file", libc::O_WRONLY));
    println!("act create inside: {}", open("d/new", libc::O_WRONLY | libc::O_CREAT));
    println!("act cut off inside: {}", open("d/file", READ | libc::O_TRUNC));
    println!("act read outside: {}", open("secret", READ));
    println!("act set times outside: {}", {
        let path = CString::new(here.join("secret").into_os_string().into_encoded_bytes()).expect("no NUL");
        // SAFETY: a live C string, and null for the current time.
        ended(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), std::ptr::null(), 0) }.into())
    });
    println!("act read above: {}", open("d/../secret", READ));
    println!("act create outside: {}", open("new", libc::O_WRONLY | libc::O_CREAT));
    println!("act read the system: {}", open("/etc/passwd", READ));
    println!(
        "act make a pipe inside: {}",
        ended(unsafe {
            let path = CString::new(here.join("d/pipe").into_os_string().into_encoded_bytes()).expect("no NUL");
            libc::mknodat(libc::AT_FDCWD, path.as_ptr(), libc::S_IFIFO | 0o600, 0).into()
        })
    );
    for (name, act) in ACTS.iter().filter(|(name, _)| !name.starts_with("look") && !name.starts_with("create")) {
        println!("act {name}: {}", act());
    }
}

#[test]
fn a_granted_directory_is_in_reach_and_nothing_else() {
    if let Ok(role) = std::env::var(ROLE) {
        return act_in_directories(role == "writable");
    }
    for role in ["readable", "writable"] {
        let mut ends = started_again(GRANT_NAME, role);
        let made = ends.keys().find_map(|name| name.strip_prefix("directory ")).expect("a directory").to_owned();
        std::fs::remove_dir_all(Path::new(&made)).expect("the process's directory");
        ends.retain(|name, _| !name.starts_with("directory"));
        let allowed: Vec<&str> = ends.iter().filter(|(_, end)| **end == 0).map(|(name, _)| name.as_str()).collect();
        let expected: &[&str] = if role == "writable" {
            &["create inside", "cut off inside", "read inside", "write inside"]
        } else {
            &["read inside"]
        };
        assert_eq!(allowed, expected, "{role}: {ends:?}");
        assert_eq!(ends.len(), 10 + ACTS.len() - 2, "{ends:?}");
    }
}

const DENIED_NAME: &str = "sys::attack_tests::calls_that_a_worker_does_not_need_do_not_exist_for_it";

/// Calls by which attackers have escaped from sandboxes, or that change what others rely on. The list of allowed calls decides; these
/// are named so that nobody allows one of them without noticing.
const DENIED: &[(&str, libc::c_long)] = &[
    ("accept4", libc::SYS_accept4),
    ("acct", libc::SYS_acct),
    ("add_key", libc::SYS_add_key),
    ("bind", libc::SYS_bind),
    ("bpf", libc::SYS_bpf),
    ("capset", libc::SYS_capset),
    ("chdir", libc::SYS_chdir),
    ("chroot", libc::SYS_chroot),
    ("clone3", libc::SYS_clone3),
    ("connect", libc::SYS_connect),
    ("delete_module", libc::SYS_delete_module),
    ("execve", libc::SYS_execve),
    ("execveat", libc::SYS_execveat),
    ("faccessat", libc::SYS_faccessat),
    ("fanotify_init", libc::SYS_fanotify_init),
    ("fchmodat", libc::SYS_fchmodat),
    ("fchownat", libc::SYS_fchownat),
    ("finit_module", libc::SYS_finit_module),
    ("flock", libc::SYS_flock),
    ("fsconfig", libc::SYS_fsconfig),
    ("fsmount", libc::SYS_fsmount),
    ("fsopen", libc::SYS_fsopen),
    ("getdents64", libc::SYS_getdents64),
    ("init_module", libc::SYS_init_module),
    ("inotify_init1", libc::SYS_inotify_init1),
    ("io_setup", libc::SYS_io_setup),
    ("io_uring_setup", libc::SYS_io_uring_setup),
    ("kcmp", libc::SYS_kcmp),
    ("kexec_load", libc::SYS_kexec_load),
    ("keyctl", libc::SYS_keyctl),
    ("kill", libc::SYS_kill),
    ("linkat", libc::SYS_linkat),
    ("listen", libc::SYS_listen),
    ("mbind", libc::SYS_mbind),
    ("memfd_secret", libc::SYS_memfd_secret),
    ("mkdirat", libc::SYS_mkdirat),
    ("mknodat", libc::SYS_mknodat),
    ("mount", libc::SYS_mount),
    ("move_mount", libc::SYS_move_mount),
    ("mq_open", libc::SYS_mq_open),
    ("msgget", libc::SYS_msgget),
    ("name_to_handle_at", libc::SYS_name_to_handle_at),
    ("open_by_handle_at", libc::SYS_open_by_handle_at),
    ("open_tree", libc::SYS_open_tree),
    ("openat", libc::SYS_openat),
    ("openat2", libc::SYS_openat2),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("personality", libc::SYS_personality),
    ("pidfd_getfd", libc::SYS_pidfd_getfd),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    ("pivot_root", libc::SYS_pivot_root),
    ("pkey_mprotect", libc::SYS_pkey_mprotect),
    ("prlimit64", libc::SYS_prlimit64),
    ("process_madvise", libc::SYS_process_madvise),
    ("process_vm_readv", libc::SYS_process_vm_readv),
    ("process_vm_writev", libc::SYS_process_vm_writev),
    ("ptrace", libc::SYS_ptrace),
    ("quotactl", libc::SYS_quotactl),
    ("readlinkat", libc::SYS_readlinkat),
    ("reboot", libc::SYS_reboot),
    ("remap_file_pages", libc::SYS_remap_file_pages),
    ("renameat2", libc::SYS_renameat2),
    ("request_key", libc::SYS_request_key),
    ("sched_setaffinity", libc::SYS_sched_setaffinity),
    ("sched_setscheduler", libc::SYS_sched_setscheduler),
    ("semget", libc::SYS_semget),
    ("sendto", libc::SYS_sendto),
    ("setdomainname", libc::SYS_setdomainname),
    ("setgid", libc::SYS_setgid),
    ("sethostname", libc::SYS_sethostname),
    ("setns", libc::SYS_setns),
    ("setpgid", libc::SYS_setpgid),
    ("setpriority", libc::SYS_setpriority),
    ("setrlimit", libc::SYS_setrlimit),
    ("setsid", libc::SYS_setsid),
    ("settimeofday", libc::SYS_settimeofday),
    ("setuid", libc::SYS_setuid),
    ("shmget", libc::SYS_shmget),
    ("socket", libc::SYS_socket),
    ("socketpair", libc::SYS_socketpair),
    ("splice", libc::SYS_splice),
    ("swapon", libc::SYS_swapon),
    ("symlinkat", libc::SYS_symlinkat),
    ("syslog", libc::SYS_syslog),
    ("tkill", libc::SYS_tkill),
    ("truncate", libc::SYS_truncate),
    ("umount2", libc::SYS_umount2),
    ("unlinkat", libc::SYS_unlinkat),
    ("unshare", libc::SYS_unshare),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("utimensat", libc::SYS_utimensat),
    ("vhangup", libc::SYS_vhangup),
    ("vmsplice", libc::SYS_vmsplice),
];

#[test]
fn calls_that_a_worker_does_not_need_do_not_exist_for_it() {
    if let Ok(role) = std::env::var(ROLE) {
        // The control gets the filters of a worker with a writable directory, which allow some of these calls.
        crate::sandbox::confine_by(if role == "control" { "worker+reading+writing" } else { "worker" });
        for (name, number) in DENIED {
            // With arguments with which none of them does anything, if it exists.
            println!("act {name}: {}", ended(unsafe { libc::syscall(*number, -1, 0, 0, 0, 0, 0) }));
        }
        return;
    }
    let ends = started_again(DENIED_NAME, "confined");
    let allowed: Vec<_> = ends.iter().filter(|(_, end)| **end != -i64::from(libc::ENOSYS)).collect();
    assert_eq!(allowed, [], "a confined worker can make these calls");
    assert_eq!(ends.len(), DENIED.len(), "the process tried them all");
    let control = started_again(DENIED_NAME, "control");
    let let_in = control.iter().filter(|(_, end)| **end != -i64::from(libc::ENOSYS)).map(|(name, _)| name.as_str());
    let let_in: Vec<_> = let_in.collect();
    assert!(["openat", "readlinkat", "unlinkat", "renameat2"].iter().all(|name| let_in.contains(name)), "{let_in:?}");
}
