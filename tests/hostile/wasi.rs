//! Guests that reach outside the sandbox: for files, directories, sockets, descriptors and exit codes.

use super::kit::{Says, act, check, guest, listing, map_outputs};
use crate::cli::kit::{Place, objects, why};

/// WASI's error number for a bad descriptor. A guest reports the error numbers of a call for descriptors 0 to 5 and the largest one.
const BAD_DESCRIPTOR: &str = "08";

/// Calls that take a path. The guest tries each with six paths for each of six descriptors, and one more.
const WITH_PATHS: &[&str] = &[
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
];

#[test]
fn no_path_leads_anywhere_without_a_grant() {
    for call in WITH_PATHS {
        let errors = map_outputs("reaches_out", call, &[], &["x"]).remove(0);
        let errors: Vec<&str> = errors.split_whitespace().collect();
        assert_eq!(errors, [BAD_DESCRIPTOR; 37], "{call}");
    }
}

#[test]
fn no_call_reaches_files_sockets_or_processes() {
    // 54 is "not a directory", 57 "not a socket", 58 "not supported", 70 "invalid seek".
    let expected = [
        ("fd_prestat_get", "08 08 08 08 08 08 08"),
        ("fd_prestat_dir_name", "54 54 54 08 08 08 08"),
        ("fd_readdir", "08 08 08 08 08 08 08"),
        ("fd_allocate", "08 08 08 08 08 08 08"),
        ("fd_filestat_set_size", "08 08 08 08 08 08 08"),
        ("fd_filestat_set_times", "08 08 08 08 08 08 08"),
        ("fd_pread", "70 08 08 08 08 08 08"),
        ("fd_pwrite", "08 70 70 08 08 08 08"),
        ("fd_seek", "70 70 70 08 08 08 08"),
        ("fd_tell", "70 70 70 08 08 08 08"),
        ("fd_advise", "08 08 08 08 08 08 08"),
        ("fd_datasync", "08 08 08 08 08 08 08"),
        ("fd_sync", "08 08 08 08 08 08 08"),
        ("fd_fdstat_set_flags", "08 08 08 08 08 08 08"),
        ("fd_fdstat_set_rights", "08 08 08 08 08 08 08"),
        ("sock_accept", "57 57 57 08 08 08 08"),
        ("sock_recv", "57 57 57 08 08 08 08"),
        ("sock_send", "57 57 57 08 08 08 08"),
        ("sock_shutdown", "57 57 57 08 08 08 08"),
        ("proc_raise", "58 58 58 58 58 58 58"),
        // The control: its standard streams exist.
        ("fd_fdstat_get", "00 00 00 08 08 08 08"),
        ("fd_filestat_get", "00 00 00 08 08 08 08"),
    ];
    for (call, errors) in expected {
        assert_eq!(map_outputs("reaches_out", call, &[], &["x"])[0].trim_end(), errors, "{call}");
    }
}

#[test]
fn a_program_opens_no_path_without_a_grant() {
    let place = Place::new();
    place.file("secret", "not for guests");
    std::os::unix::fs::symlink("secret", place.path().join("link")).expect("a link");
    let whole = place.path().join("secret").to_str().expect("UTF-8").to_owned();
    let items = ["secret", "./secret", "link", "../../etc/passwd", "/etc/passwd", "/proc/self/environ", ".", &whole];
    let before = listing(place.path());
    let path = guest("opens");
    let said = place.says(&[&["map", path.to_str().expect("UTF-8"), "--json"][..], &items].concat());
    let ended = objects(&said.stdout);
    assert_eq!((said.code, ended.len()), (Some(100), items.len()), "{}", said.stderr);
    for task in ended {
        let error = "exited with code 8; it was granted no directory; grant one with --dir HOST[::GUEST][:rw]";
        assert_eq!((task["status"].as_str(), &*why(&task)), (Some("denied"), error), "{task}");
        assert!(task.get("output").is_none(), "{task}");
    }
    assert_eq!(listing(place.path()), before);
}

#[test]
fn descriptors_that_a_task_closes_or_moves_are_its_own() {
    // The result of each call, in two digits, and the output written in between. The next task has all its descriptors again.
    let churned = "00 00 00 08 08 08 00 08 08 00 ";
    assert_eq!(map_outputs("descriptors", "t", &[], &["churn", "churn", "churn"]), [churned; 3]);
}

#[test]
fn exit_codes_are_what_the_program_says_or_a_trap() {
    const INVALID: Says = Says::Exactly("exit with invalid exit status outside of [0..126)");
    check(&[
        act("exits", "1", "error", Says::Exactly("exited with code 1")),
        act("exits", "2", "error", Says::Exactly("exited with code 2")),
        act("exits", "100", "error", Says::Exactly("exited with code 100")),
        act("exits", "125", "error", Says::Exactly("exited with code 125")),
        act("exits", "126", "trap", INVALID),
        act("exits", "255", "trap", INVALID),
        act("exits", "256", "trap", INVALID),
        act("exits", "-1", "trap", INVALID),
    ]);
}
