//! What tasks may use of the outside world: nothing by default, otherwise exactly what is granted.

use std::os::unix::fs::symlink;
use std::path::Path;

use wrun::{Access, Directory, Grants, Job, Status};

use crate::cli::kit::{Place, why};
use crate::support::{guest, rust_guest};

/// A temporary directory with a directory `d` to grant, and files outside it that must stay out of reach.
fn place() -> Place {
    let place = Place::new();
    let at = |name: &str| place.path().join(name);
    std::fs::create_dir_all(at("d/sub")).unwrap();
    place.file("d/a", "hello");
    place.file("secret", "secret");
    symlink("a", at("d/in")).unwrap();
    symlink("../secret", at("d/out")).unwrap();
    symlink(at("secret"), at("d/absolute")).unwrap();
    symlink("..", at("d/up")).unwrap();
    symlink("loop", at("d/loop")).unwrap();
    place
}

/// The status of `wasi-probe` with these arguments, and its output or error.
fn acts(place: &Place, options: &[&str], words: &[&str]) -> (String, String) {
    let module = guest("wasi-probe");
    let options = [&["map", &module, "--json"], options, &["x", "--"], words].concat();
    let said = place.says(&options);
    let object: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    let text = object["output"].as_str().map_or_else(|| why(&object), str::to_owned);
    (object["status"].as_str().unwrap().to_owned(), text.trim_end().to_owned())
}

#[track_caller]
fn is_denied(place: &Place, options: &[&str], words: &[&str]) {
    let (status, error) = acts(place, options, words);
    assert_eq!(status, "denied", "{options:?} {words:?}: {error}");
    assert!(error.contains("--dir HOST"), "{options:?} {words:?}: {error}");
}

#[track_caller]
fn gives(place: &Place, options: &[&str], words: &[&str], output: &str) {
    assert_eq!(acts(place, options, words), ("ok".into(), output.into()), "{options:?} {words:?}");
}

/// Every act that takes a path, on an existing file.
const READING: [(&[&str], &str); 4] = [
    (&["read", "/d/a"], "hello"),
    (&["list", "/d"], "a absolute in loop out sub up"),
    (&["stat", "/d/a"], "5"),
    (&["follow", "/d/in"], "a"),
];

/// Every act that changes something, ordered so that each finds what it needs.
const WRITING: [&[&str]; 12] = [
    &["write", "/d/new", "one"],
    &["append", "/d/new", " two"],
    &["link", "/d/new", "/d/linked"],
    &["rename", "/d/linked", "/d/renamed"],
    &["symlink", "new", "/d/symlink"],
    &["remove", "/d/renamed"],
    &["mkdir", "/d/made"],
    &["rename", "/d/made", "/d/sub/moved"],
    &["rmdir", "/d/sub/moved"],
    &["sync", "/d/new"],
    &["cut", "/d/symlink"],
    &["remove", "/d/symlink"],
];

/// Ways to escape from the directory.
const WAYS_OUT: [&str; 8] = [
    "/d/out",
    "/d/absolute",
    "/d/../secret",
    "/d/sub/../../secret",
    "/d/up/secret",
    "/d/up/d/a",
    "/d/sub/../up/secret",
    "/d/./../d/a",
];

#[test]
fn without_a_directory_every_path_is_denied() {
    let place = place();
    for (words, _) in READING {
        is_denied(&place, &[], words);
    }
    for words in WRITING.iter().filter(|words| words[0] != "sync") {
        is_denied(&place, &[], words);
    }
    let names = std::fs::read_dir(place.path().join("d")).unwrap().count();
    assert_eq!(names, 7, "something was created");
}

#[test]
fn a_directory_can_be_read_and_not_written() {
    let place = place();
    for (words, output) in READING {
        gives(&place, &["--dir", "d::/d"], words, output);
    }
    for words in WRITING.iter().filter(|words| words[0] == "write" || words[0] == "mkdir" || words[0] == "symlink") {
        is_denied(&place, &["--dir", "d::/d"], words);
    }
    for words in [&["remove", "/d/a"][..], &["rename", "/d/a", "/d/b"], &["link", "/d/a", "/d/b"], &["cut", "/d/a"]] {
        is_denied(&place, &["--dir", "d::/d"], words);
    }
    gives(&place, &["--dir", "d::/d:ro"], &["read", "/d/a"], "hello");
}

#[test]
fn a_writable_directory_can_be_read_and_written() {
    let place = place();
    for (words, output) in READING {
        gives(&place, &["--dir", "d::/d:rw"], words, output);
    }
    for words in WRITING {
        gives(&place, &["--dir", "d::/d:rw"], words, "done");
        if words[0] == "append" {
            assert_eq!(std::fs::read_to_string(place.path().join("d/new")).unwrap(), "one two");
        }
    }
    assert_eq!(std::fs::read_to_string(place.path().join("d/new")).unwrap(), "", "it was truncated to nothing");
    std::fs::remove_file(place.path().join("d/new")).unwrap();
    assert_eq!(std::fs::read_dir(place.path().join("d")).unwrap().count(), 7, "the same as before");
}

#[test]
fn no_path_leads_out_of_a_directory() {
    let place = place();
    for options in [["--dir", "d::/d"], ["--dir", "d::/d:rw"]] {
        gives(&place, &options, &["read", "/d/in"], "hello");
        gives(&place, &options, &["read", "/d/sub/../a"], "hello");
        for path in WAYS_OUT {
            let (status, text) = acts(&place, &options, &["read", path]);
            assert!(status != "ok" && !text.contains("hello") && !text.ends_with("secret"), "{path}: {status} {text}");
        }
        for path in ["/d/../new", "/d/up/new", "/d/sub/../../new", "/d/up/d/../new"] {
            let (status, text) = acts(&place, &options, &["write", path, "x"]);
            assert_ne!(status, "ok", "{path}: {text}");
        }
        // Where links may be created, one that points outside may be, but it cannot be followed.
        let (made, _) = acts(&place, &options, &["symlink", "../secret", "/d/new-link"]);
        let (status, text) = acts(&place, &options, &["read", "/d/new-link"]);
        assert_ne!(status, "ok", "{made} {text}");
        let (status, _) = acts(&place, &options, &["read", "/d/loop"]);
        assert_eq!(status, "error", "a link to itself is not a way out, nor a file");
    }
    assert_eq!(std::fs::read_to_string(place.path().join("secret")).unwrap(), "secret");
    assert!(!place.path().join("new").exists());
}

#[test]
fn two_directories_do_not_lend_each_other_their_rights() {
    let place = place();
    std::fs::create_dir(place.path().join("e")).unwrap();
    let options = ["--dir", "d::/d", "--dir", "e::/e:rw"];
    gives(&place, &options, &["write", "/e/new", "x"], "done");
    gives(&place, &options, &["read", "/e/new"], "x");
    is_denied(&place, &options, &["write", "/d/new", "x"]);
    is_denied(&place, &options, &["rename", "/d/a", "/e/a"]);
    is_denied(&place, &options, &["link", "/d/a", "/e/a"]);
    is_denied(&place, &options, &["rename", "/e/new", "/d/new"]);
}

#[test]
fn a_directory_that_cannot_be_granted_is_named() {
    let place = place();
    for (options, error) in [
        (&["--dir", "missing"][..], "cannot grant directory \"missing\": no such file; check the path"),
        (&["--dir", "secret"], "cannot grant directory \"secret\": Not a directory (os error 20)"),
        (
            &["--dir", "d::/x", "--dir", "d/sub::/x"],
            "two directories are called \"/x\"; give one of them another guest path",
        ),
        (
            &["--random", "--seed", "1"],
            "the argument '--random' cannot be used with '--seed <N>'; --help shows all options",
        ),
        (
            &["--env", "NO_SUCH_VARIABLE"],
            "invalid value 'NO_SUCH_VARIABLE' for '--env <NAME[=VALUE]>': \
             NO_SUCH_VARIABLE is not set here, or is not UTF-8; give NO_SUCH_VARIABLE=VALUE; --help shows all options",
        ),
    ] {
        let said = place.says(&[&["map", "sqrt.wat", "2"], options].concat());
        let here = place.path().canonicalize().unwrap();
        let error = error.replace("HERE", here.to_str().unwrap());
        assert_eq!(said.stderr.trim_end(), format!("wrun: {error}"), "{options:?}");
        assert!(matches!(said.code, Some(1 | 2)), "{said:?}");
    }
}

#[test]
fn variables_are_those_that_were_given() {
    let place = place();
    gives(&place, &[], &["variables"], "");
    gives(&place, &["--env", "A=1", "--env", "B=x=y"], &["variables"], "A=1 B=x=y");
    let module = guest("wasi-probe");
    let mut command = place.wrun(&["map", &module, "--env", "HERE", "x", "--", "variables"]);
    let output = command.env("HERE", "there").env("OTHER", "1").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "HERE=there\n");
}

#[test]
fn the_clock_is_the_real_one_only_where_it_is_granted() {
    let place = place();
    gives(&place, &[], &["seconds"], "946684800 true");
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (_, text) = acts(&place, &["--clock"], &["seconds"]);
    let seconds: u64 = text.split(' ').next().unwrap().parse().unwrap();
    assert!(seconds >= before, "{seconds} is before {before}");
}

#[test]
fn random_numbers_follow_from_the_seed_and_the_position_unless_granted() {
    let place = place();
    let module = guest("wasi-probe");
    let random = |options: &[&str]| {
        let said = place.says(&[&["map", &module, "a", "b"], options, &["--", "random"]].concat());
        said.stdout.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = random(&[]);
    assert_eq!(plain.len(), 2);
    assert_ne!(plain[0], plain[1], "two tasks");
    assert_eq!(random(&["--jobs", "1"]), plain);
    assert_eq!(random(&["--seed", "0"]), plain);
    let seeded = random(&["--seed", "1"]);
    assert!(seeded.iter().all(|number| !plain.contains(number)), "{seeded:?} {plain:?}");
    assert_eq!(random(&["--seed", "1"]), seeded);
    assert_ne!(random(&["--random"]), random(&["--random"]));
}

/// A worker that may use a directory runs no task of a job that may not.
#[test]
fn a_grant_ends_with_its_job() {
    let place = place();
    let mut pool = crate::support::pool(1);
    let module = rust_guest("wasi-probe");
    let mut job = Job::new(&module);
    job.argv = Some(vec!["read".into(), "/d/a".into()]);
    let granted = |access| Grants {
        directories: vec![Directory::open(place.path().join(Path::new("d")), "/d", access).unwrap()],
        ..Grants::default()
    };
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let outcome = pool.run(&job.clone().grants(granted(access)), "x").unwrap();
        assert_eq!(&outcome.result.unwrap()[..], b"hello\n");
        let outcome = pool.run(&job, "x").unwrap();
        assert_eq!(outcome.status(), Status::Denied);
    }
}

/// Lists directory 3 an entry at a time, until there is none: prints how many there were, as four bytes.
const LISTER: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_readdir" (func $list (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $cookie i64)
    (block $end (loop $next
      (if (call $list (i32.const 3) (i32.const 1024) (i32.const 64) (local.get $cookie) (i32.const 512)) (then (unreachable)))
      (br_if $end (i32.eqz (i32.load (i32.const 512))))
      (local.set $cookie (i64.load (i32.const 1024)))
      (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
      (br $next)))
    (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 4))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

#[test]
fn a_large_directory_is_read_once_however_small_the_buffer_is() {
    let place = Place::new();
    place.file("lister.wat", LISTER);
    std::fs::create_dir(place.path().join("many")).unwrap();
    for number in 0..10_000 {
        std::fs::write(place.path().join("many").join(number.to_string()), "").unwrap();
    }
    // Reading it 10,000 times would take minutes.
    let mut command = place.wrun(&["map", "lister.wat", "--raw", "--timeout", "60s", "--dir", "many", "x"]);
    let output = command.output().expect("wrun runs");
    // `.` and `..` are listed too.
    let count = output.stdout.try_into().map(u32::from_le_bytes);
    assert_eq!(count, Ok(10_002), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Calls WASI functions with these bodies, which give error numbers, and prints these numbers, a byte each.
fn errnos(imports: &str, calls: &[&str]) -> String {
    let stores: String =
        calls.iter().enumerate().map(|(at, call)| format!("(i32.store8 (i32.const {}) {call})", 256 + at)).collect();
    format!(
        r#"(module {imports}
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "file") (data (i32.const 1032) "link")
  (func (export "_start") {stores}
    (i32.store (i32.const 0) (i32.const 256)) (i32.store (i32.const 4) (i32.const {}))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        calls.len()
    )
}

fn bytes_of(place: &Place, options: &[&str]) -> Vec<u8> {
    let output = place.wrun(&[&["map", "p.wat", "--raw"], options, &["x"]].concat()).output().expect("wrun runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn times_can_be_set_without_following_links() {
    const IMPORT: &str = r#"(import "wasi_snapshot_preview1" "path_filestat_set_times"
        (func $set (param i32 i32 i32 i32 i64 i64 i32) (result i32)))"#;
    // A modification time of 7 s after 1970; both MTIM and MTIM_NOW; a path that is not there; a link itself; what it leads to.
    let set = |lookup: u32, path: u32, len: u32, seconds: u32, flags: u32| {
        format!(
            "(call $set (i32.const 3) (i32.const {lookup}) (i32.const {path}) (i32.const {len}) (i64.const 0) \
             (i64.const {seconds}000000000) (i32.const {flags}))"
        )
    };
    let calls = [
        set(0, 1024, 4, 7, 4),
        set(0, 1024, 4, 9, 12),
        set(0, 1024, 3, 9, 4),
        set(0, 1032, 4, 9, 4),
        set(1, 1032, 4, 8, 4),
    ];
    let place = Place::new();
    let program = errnos(IMPORT, &calls.iter().map(String::as_str).collect::<Vec<_>>());
    place.file("p.wat", program);
    std::fs::create_dir(place.path().join("d")).unwrap();
    place.file("d/file", "x");
    symlink("file", place.path().join("d/link")).unwrap();
    const INVAL: u8 = 28;
    const NOENT: u8 = 44;
    const NOTSUP: u8 = 58;
    assert_eq!(bytes_of(&place, &["--dir", "d:rw"]), [0, INVAL, NOENT, NOTSUP, 0]);
    let modified = place.path().join("d/file").metadata().unwrap().modified().unwrap();
    assert_eq!(modified, std::time::UNIX_EPOCH + std::time::Duration::from_secs(8));
    const PERM: u8 = 63;
    assert_eq!(bytes_of(&place, &["--dir", "d"])[0], PERM, "it may only be read");
}

#[test]
fn what_is_no_socket_is_told_from_what_is_nothing() {
    const IMPORT: &str = r#"(import "wasi_snapshot_preview1" "sock_shutdown" (func $shut (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))"#;
    let place = Place::new();
    let calls = [
        "(call $shut (i32.const 1) (i32.const 1))",
        "(call $accept (i32.const 0) (i32.const 0) (i32.const 512))",
        "(call $shut (i32.const 77) (i32.const 1))",
    ];
    place.file("p.wat", errnos(IMPORT, &calls));
    const NOTSOCK: u8 = 57;
    const BADF: u8 = 8;
    assert_eq!(bytes_of(&place, &[]), [NOTSOCK, NOTSOCK, BADF]);
}
