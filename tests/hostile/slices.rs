//! Guests that reach for other tasks' output slices.

use super::kit::guest;
use crate::cli::kit::{Place, objects};

const SLICE: usize = 5000;

/// The byte that fills the slices of the tasks around the attack.
const NEIGHBOUR: u8 = b'1';

/// Runs an attack between two neighbours that do the same thing in an allowed way, on one worker. Checks that the neighbours have
/// all their bytes and that nothing else in the file has changed. Returns the attack's status and message, and its slice's contents.
#[track_caller]
fn attack(call: &str, options: &[&str]) -> (String, String, Vec<u8>) {
    let place = Place::new();
    // The file is longer than the tasks' slices together.
    let out = place.file("out", [b'.'; 5 * SLICE]);
    let path = guest("slices");
    let start = ["map", path.to_str().expect("UTF-8"), "--json", "-j", "1", "--out", "out", "--slice", "5000"];
    let said = place.says(&[&start, options, &["--call", call, "control", "attack", "control"]].concat());
    assert!(!said.stderr.contains("another takes its place"), "{call}: {}", said.stderr);
    let ended = objects(&said.stdout);
    assert_eq!((&ended[0]["status"], &ended[2]["status"]), (&"ok".into(), &"ok".into()), "{call}: {}", said.stdout);
    let bytes = std::fs::read(out).expect("the file");
    assert_eq!(bytes.len(), 5 * SLICE, "{call}");
    for neighbour in [0, 2] {
        assert!(bytes[neighbour * SLICE..][..SLICE].iter().all(|byte| *byte == NEIGHBOUR), "{call}: slice {neighbour}");
    }
    assert!(bytes[3 * SLICE..].iter().all(|byte| *byte == b'.'), "{call}: bytes that belong to no task");
    let text = |field: &str| ended[1][field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("error"), bytes[SLICE..2 * SLICE].to_vec())
}

/// The message of a task that used pages around a window.
pub const TOOK: &str = "it used memory next to a window that the host has mapped: an allocator that takes all memory for its own needs \
                        input_read, input_map_at, region_map_at and output_write";

const GONE: &str = "it used memory outside of its windows, or a window that it gave back";

#[test]
fn no_task_reaches_a_neighbours_slice() {
    let acts = [
        ("a byte more", "region_map(0, 0, 5001): the region has 5000 bytes"),
        ("behind the end", "region_map(0, 5000, 1): the region has 5000 bytes"),
        ("the byte before", "region_map(0, 18446744073709551615, 1): the region has 5000 bytes"),
        ("overflow", "region_map(0, 9223372036854775807, 4294967295): the region has 5000 bytes"),
        ("no such region", "region_map(1, 0, 1): this task has 1 regions, counted from 0"),
        ("the length of no such region", "region_len(4294967295): this task has 1 regions, counted from 0"),
        ("a store behind its pages", GONE),
        ("a store before its pages", TOOK),
        ("memory.fill from its slice on", GONE),
        ("an addition behind its pages", GONE),
        ("a store to a slice that was given back", GONE),
    ];
    for (call, message) in acts {
        for reuse in [&[][..], &["--reuse"]] {
            let (status, error, slice) = attack(call, reuse);
            assert_eq!(status, "trap", "{call}: {error}");
            assert_eq!(error, format!("{message} (bytes 5000..10000 of \"out\" are zeros)"), "{call}");
            assert!(slice.iter().all(|byte| *byte == 0), "{call}: its slice is zeroed");
        }
    }
}

#[test]
fn bytes_around_a_slice_are_neither_seen_nor_written() {
    for reuse in [&[][..], &["--reuse"]] {
        let (status, error, slice) = attack("the rest of its pages", reuse);
        assert_eq!((status.as_str(), error.as_str()), ("ok", ""));
        assert!(slice.iter().all(|byte| *byte == NEIGHBOUR), "its own bytes are written");
    }
}
