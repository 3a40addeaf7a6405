//! Every call of the contract and of WASI, with every kind of invalid address, length, index and offset.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kit::{DATA, guest};
use crate::cli::kit::{Place, objects};

/// The size of the guests' memory, in bytes.
const MEMORY: u64 = 65536;
/// The length of their only input, in bytes.
const INPUT: u64 = 10;

/// The length of an output slice, in bytes.
const SLICE: u64 = 3;
/// The length of the shared memory, in bytes.
const SHARED: u64 = 8;

/// The values tried for each parameter: around the lengths of the input and of memory, and the largest 32-bit and 64-bit numbers.
const VALUES: [i64; 10] = [0, 2, 3, 8, MEMORY as i64 - 3, MEMORY as i64 - 1, MEMORY as i64, 1 << 31, (1 << 32) - 1, -1];

/// The same for calls with many parameters.
const FEWER_VALUES: [i64; 5] = [0, 3, MEMORY as i64, (1 << 32) - 1, -1];

/// A call, its parameters (`p` is a 32-bit number, `P` a 64-bit one, `a` one as wide as addresses), and how it must end for given values, which are the unsigned
/// numbers that the guest passes.
type Call = (&'static str, &'static str, fn(&[u64], argument_len: u64) -> &'static str);

/// Whether this range lies in memory.
fn inside(address: u64, len: u64) -> &'static str {
    if address.checked_add(len).is_some_and(|end| end <= MEMORY) { "ok" } else { "trap" }
}

/// Whether this range lies in something with `most` bytes.
fn within(offset: u64, len: u64, most: u64) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= most)
}

/// Whether a window of this many bytes can lie there: nothing but an empty one, because the memory has a single page.
fn over(dst: u64, len: u64) -> bool {
    dst == MEMORY && len == 0
}

const CONTRACT: &[Call] = &[
    ("task_index", "", |_, _| "ok"),
    ("arg_len", "", |_, _| "ok"),
    ("arg_read", "a", |args, argument_len| inside(args[0], argument_len)),
    ("input_count", "", |_, _| "ok"),
    ("input_find", "aa", |args, _| inside(args[0], args[1])),
    ("input_len", "p", |args, _| if args[0] == 0 { "ok" } else { "trap" }),
    ("input_writable", "", |_, _| "ok"),
    ("input_read", "pPaa", |args, _| {
        if args[0] == 0 && within(args[1], args[2], INPUT) { inside(args[3], args[2]) } else { "trap" }
    }),
    ("input_map", "pPa", |args, _| if args[0] == 0 && within(args[1], args[2], INPUT) { "ok" } else { "trap" }),
    ("input_map_at", "pPaa", |args, _| {
        if args[0] == 0 && within(args[1], args[2], INPUT) && over(args[3], args[2]) { "ok" } else { "trap" }
    }),
    ("input_unmap", "a", |_, _| "trap"),
    ("output_write", "aa", |args, _| inside(args[0], args[1])),
    ("output_map", "a", |args, _| if args[0] <= 1 << 20 { "ok" } else { "limit" }),
    ("region_count", "", |_, _| "ok"),
    ("region_find", "aa", |args, _| inside(args[0], args[1])),
    ("region_len", "p", |args, _| if args[0] < 2 { "ok" } else { "trap" }),
    (
        "region_map",
        "pPa",
        |args, _| if args[0] < 2 && within(args[1], args[2], region_len(args[0])) { "ok" } else { "trap" },
    ),
    ("region_map_at", "pPaa", |args, _| {
        if args[0] < 2 && within(args[1], args[2], region_len(args[0])) && over(args[3], args[2]) {
            "ok"
        } else {
            "trap"
        }
    }),
    ("fail", "aa", |args, _| inside(args[0], args[1])),
    ("log", "paa", |args, _| if (1..=5).contains(&args[0]) { inside(args[1], args[2]) } else { "trap" }),
];

/// The length of a region.
fn region_len(region: u64) -> u64 {
    [SLICE, SHARED].get(region as usize).copied().unwrap_or(0)
}

/// All combinations of values for this many parameters.
fn combinations(count: usize) -> Vec<Vec<i64>> {
    let values = if count > 3 { &FEWER_VALUES[..] } else { &VALUES };
    (0..count).fold(vec![Vec::new()], |all, _| {
        all.iter().flat_map(|some| values.iter().map(|value| [&some[..], &[*value]].concat())).collect()
    })
}

/// The outcomes of tasks that pass these numbers to a function, on one worker, which must not be lost.
#[track_caller]
fn outcomes(place: &Place, file: &str, function: &str, items: &[String]) -> Vec<Value> {
    let path = guest(file);
    let path = path.to_str().expect("UTF-8");
    let list: String = items.iter().map(|item| format!("{item}\n")).collect();
    let options = ["-j", "1", "-i", "data=data", "--timeout", "20s", "--max-output", "1M", "--json"];
    let regions = ["--out", "out", "--slice", "3", "--shared", "area=area:8"];
    let options = [&options[..], &regions].concat();
    let said = place.says_to(&[&["map", path, "--call", function][..], &options].concat(), list);
    assert!(matches!(said.code, Some(0 | 100)), "{function}: {said:?}");
    assert!(!said.stderr.contains("another takes its place"), "{function}: {}", said.stderr);
    let ended = objects(&said.stdout);
    assert_eq!(ended.len(), items.len(), "{function}");
    ended
}

fn item(values: &[i64]) -> String {
    values.iter().map(|value| format!("{value} ")).collect()
}

#[test]
fn every_call_of_the_contract_withstands_every_wrong_number() {
    calls("calls", 'p');
}

#[test]
fn every_call_with_64_bit_addresses_withstands_every_wrong_number() {
    calls("calls64", 'P');
}

/// Makes all calls by a guest whose addresses are such numbers.
#[track_caller]
fn calls(file: &str, address: char) {
    let place = Place::new();
    place.file("data", DATA);
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, params, expected) in CONTRACT {
        let params = params.replace('a', &address.to_string());
        let all = combinations(params.len());
        let items: Vec<String> = all.iter().map(|values| item(values)).collect();
        // As a direct call by the guest, and as an import that the guest re-exports.
        for function in [(*name).to_owned(), format!("bare {name}")] {
            for (values, ended) in all.iter().zip(outcomes(&place, file, &function, &items)) {
                let passed: Vec<u64> =
                    values.iter().zip(params.chars()).map(|(value, kind)| passed(*value, kind)).collect();
                let argument_len = item(values).len() as u64;
                let status = ended["status"].as_str().expect("a status");
                let message = ended["error"].as_str().unwrap_or_default();
                let named =
                    status != "trap" || (message.starts_with(&format!("{name}(")) && names_all(message, &passed));
                if status != expected(&passed, argument_len) || !named {
                    wrong.push(format!("{function} {passed:?}: {status} {message}"));
                }
                seen.insert((*name, status.to_owned()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} calls:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen.contains(&("input_map", "ok".into())) && seen.contains(&("log", "ok".into())), "the control");
}

/// The value that a guest passes for this number in an item.
fn passed(value: i64, kind: char) -> u64 {
    if kind == 'P' { value as u64 } else { u64::from(value as u32) }
}

/// Whether the message contains each of these numbers, in decimal or hexadecimal.
fn names_all(message: &str, values: &[u64]) -> bool {
    values.iter().all(|value| message.contains(&value.to_string()) || message.contains(&format!("{value:#x}")))
}

/// The calls of WASI, and how many parameters each takes.
const WASI: &[(&str, usize)] = &[
    ("args_get", 2),
    ("args_sizes_get", 2),
    ("clock_res_get", 2),
    ("clock_time_get", 3),
    ("environ_get", 2),
    ("environ_sizes_get", 2),
    ("fd_advise", 4),
    ("fd_allocate", 3),
    ("fd_close", 1),
    ("fd_datasync", 1),
    ("fd_fdstat_get", 2),
    ("fd_fdstat_set_flags", 2),
    ("fd_fdstat_set_rights", 3),
    ("fd_filestat_get", 2),
    ("fd_filestat_set_size", 2),
    ("fd_filestat_set_times", 4),
    ("fd_pread", 5),
    ("fd_prestat_dir_name", 3),
    ("fd_prestat_get", 2),
    ("fd_pwrite", 5),
    ("fd_read", 4),
    ("fd_readdir", 5),
    ("fd_renumber", 2),
    ("fd_seek", 4),
    ("fd_sync", 1),
    ("fd_tell", 2),
    ("fd_write", 4),
    ("path_create_directory", 3),
    ("path_filestat_get", 5),
    ("path_filestat_set_times", 7),
    ("path_link", 7),
    ("path_open", 9),
    ("path_readlink", 6),
    ("path_remove_directory", 3),
    ("path_rename", 6),
    ("path_symlink", 5),
    ("path_unlink_file", 3),
    ("poll_oneoff", 4),
    ("proc_exit", 1),
    ("proc_raise", 1),
    ("random_get", 2),
    ("sched_yield", 0),
    ("sock_accept", 3),
    ("sock_recv", 6),
    ("sock_send", 5),
    ("sock_shutdown", 2),
];

#[test]
fn every_call_of_wasi_withstands_every_wrong_number() {
    let place = Place::new();
    place.file("data", DATA);
    let mut wrong = Vec::new();
    let mut succeeded = 0;
    for (name, count) in WASI {
        // Each number for all parameters, and each number for one parameter while the others are 0.
        let mut all: Vec<Vec<i64>> = VALUES.iter().map(|value| vec![*value; *count]).collect();
        for at in 0..*count {
            all.extend(
                VALUES.iter().map(|value| (0..*count).map(|other| if other == at { *value } else { 0 }).collect()),
            );
        }
        let items: Vec<String> = all.iter().map(|values| item(values)).collect();
        for function in [(*name).to_owned(), format!("bare {name}")] {
            for (values, ended) in all.iter().zip(outcomes(&place, "wasi_calls", &function, &items)) {
                let status = ended["status"].as_str().expect("a status");
                let allowed = match status {
                    "ok" | "trap" => true,
                    // The program exits with its own code.
                    "error" => *name == "proc_exit",
                    // More events, or more random bytes, than one call may have.
                    "limit" => matches!(*name, "poll_oneoff" | "random_get"),
                    _ => false,
                };
                succeeded += u32::from(ended["output"] == "0");
                if !allowed {
                    wrong.push(format!("{function} {values:?}: {ended}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} calls:\n{}", wrong.len(), wrong.join("\n"));
    assert!(succeeded > 50, "the control: only {succeeded} calls with valid numbers succeeded");
}
