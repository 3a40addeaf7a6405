//! Guests that reach outside the sandbox: for files, directories, sockets, descriptors and exit codes.

use super::kit::{Says, act, check, guest, listing, map_outputs};
use crate::cli::kit::{Place, objects, why};

/// WASI's error number for a bad descriptor. A guest reports the error numbers of a call for descriptors 0 to 5 and the largest one.
const BAD_DESCRIPTOR: &str = "08";

/// Calls that take a path, and their errors in the program's own root, which is descriptor 3. The guest tries each with six paths for
/// each of six descriptors, and one more: a missing name, a path that leads out, an absolute one, one with a NUL byte, `.`, and none.
const WITH_PATHS: &[(&str, [&str; 6])] = &[
    ("path_create_directory", ["69", "63", "63", "28", "20", "44"]),
    // The control: the root itself is there.
    ("path_filestat_get", ["44", "63", "63", "28", "00", "44"]),
    ("path_filestat_set_times", ["44", "63", "63", "28", "69", "44"]),
    ("path_link", ["44", "63", "63", "28", "69", "44"]),
    ("path_open", ["69", "63", "63", "28", "31", "44"]),
    ("path_readlink", ["44", "63", "63", "28", "28", "44"]),
    ("path_remove_directory", ["44", "63", "63", "28", "28", "44"]),
    ("path_rename", ["44", "63", "63", "28", "10", "44"]),
    ("path_symlink", ["69", "69", "63", "28", "69", "44"]),
    ("path_unlink_file", ["44", "63", "63", "28", "31", "44"]),
];

#[test]
fn no_path_leads_anywhere_without_a_grant() {
    for (call, of_root) in WITH_PATHS {
        let errors = map_outputs("reaches_out", call, &[], &["x"]).remove(0);
        let errors: Vec<&str> = errors.split_whitespace().collect();
        let (before, after) = ([BAD_DESCRIPTOR; 18], [BAD_DESCRIPTOR; 13]);
        assert_eq!(errors, [&before[..], of_root, &after].concat(), "{call}");
    }
}

#[test]
fn no_call_reaches_files_sockets_or_processes() {
    // 37 is "name too long", 54 "not a directory", 57 "not a socket", 58 "not supported", 69 "read-only file
    // system", 70 "invalid seek".
    let expected = [
        ("fd_prestat_get", "08 08 08 00 08 08 08"),
        ("fd_prestat_dir_name", "54 54 54 37 08 08 08"),
        ("fd_readdir", "08 08 08 00 08 08 08"),
        ("fd_allocate", "08 08 08 08 08 08 08"),
        ("fd_filestat_set_size", "08 08 08 08 08 08 08"),
        ("fd_filestat_set_times", "08 08 08 69 08 08 08"),
        ("fd_pread", "70 08 08 08 08 08 08"),
        ("fd_pwrite", "08 70 70 08 08 08 08"),
        ("fd_seek", "70 70 70 08 08 08 08"),
        ("fd_tell", "70 70 70 08 08 08 08"),
        ("fd_advise", "08 08 08 08 08 08 08"),
        ("fd_datasync", "08 08 08 08 08 08 08"),
        ("fd_sync", "08 08 08 08 08 08 08"),
        ("fd_fdstat_set_flags", "08 08 08 08 08 08 08"),
        ("fd_fdstat_set_rights", "08 08 08 58 08 08 08"),
        ("sock_accept", "57 57 57 08 08 08 08"),
        ("sock_recv", "57 57 57 08 08 08 08"),
        ("sock_send", "57 57 57 08 08 08 08"),
        ("sock_shutdown", "57 57 57 08 08 08 08"),
        ("proc_raise", "58 58 58 58 58 58 58"),
        // The control: its standard streams and its own root exist.
        ("fd_fdstat_get", "00 00 00 00 08 08 08"),
        ("fd_filestat_get", "00 00 00 00 08 08 08"),
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
    let items = ["secret", "./secret", "link", "../../etc/passwd", "/etc/passwd", "/proc/self/environ", &whole];
    let before = listing(place.path());
    let path = guest("opens");
    let said = place.says(&[&["map", path.to_str().expect("UTF-8"), "--json"][..], &items].concat());
    let ended = objects(&said.stdout);
    assert_eq!((said.code, ended.len()), (Some(100), items.len()), "{}", said.stderr);
    for task in ended {
        // "No such file", or "not permitted" for a path that would lead out of the program's own root.
        let code =
            if ["secret", "./secret", "link"].contains(&task["item"].as_str().expect("an item")) { 44 } else { 63 };
        let error =
            format!("exited with code {code}; it was granted no directory; grant one with --dir HOST[::GUEST][:rw]");
        assert_eq!((task["status"].as_str(), why(&task)), (Some("denied"), error), "{task}");
        assert!(task.get("output").is_none(), "{task}");
    }
    assert_eq!(listing(place.path()), before);
}

#[test]
fn no_path_leads_out_of_the_own_files() {
    // A path and a name that are too long (37), a link to itself (32), one that leads out (63), one to an absolute path (63), a path out
    // of the scratch directory from within (63), a zero byte (28). What is allowed in between gives 0.
    let errors = "00 37 37 00 32 00 63 63 63 28 00 ";
    assert_eq!(map_outputs("own_paths", "t", &[], &["x"]), [errors]);
}

#[test]
fn files_without_end_are_refused() {
    // Empty files with names of four characters: each takes 516 bytes of a scratch directory. Then links to one of them, directories in
    // each other, and a file that grows; 51 is "no space".
    let count = (1 << 20) / 516;
    let ended = map_outputs("hoards", "files", &["--scratch", "1M"], &["x"]).remove(0);
    assert_eq!(ended.trim_end(), format!("{count} 51"));
    for (call, least, most) in [("links", 5000, 5400), ("nested", 2000, 2050), ("grows", 240, 256)] {
        let ended = map_outputs("hoards", call, &["--scratch", "1M"], &["x"]).remove(0);
        let (count, errno) = ended.trim_end().split_once(' ').expect("two numbers");
        let count: u32 = count.parse().expect("a number");
        assert!((least..=most).contains(&count) && errno == "51", "{call}: {ended}");
    }
}

#[test]
fn descriptors_that_a_task_closes_or_moves_are_its_own() {
    // The result of each call, in two digits, and the output written in between. The next task has all its descriptors again.
    let churned = "00 00 00 08 08 08 00 08 00 08 00 ";
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
