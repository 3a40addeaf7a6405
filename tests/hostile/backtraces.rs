//! Modules whose DWARF is made to cost a worker memory or stack when a task traps.

use wrun::{Job, Module, Status, Task};

use super::wasm::{Wasm, name, number};
use crate::support::{self, Flag, failure, patient, workers_that_hold};

/// How many functions call each other until the last one traps: as many as a backtrace has.
const FUNCTIONS: usize = 64;
/// The bytes that each function has in the code section, of which the count of functions comes first.
const FUNCTION_BYTES: usize = 5;

/// A module with these sections of DWARF.
fn module(sections: &[(&str, Vec<u8>)]) -> Module {
    let body = |index: usize| match index {
        63 => [4, 0, 0, 0x01, 0x0b],
        // The import comes first.
        _ => [4, 0, 0x10, index as u8 + 2, 0x0b],
    };
    let module = Wasm::new()
        .section(1, b"\x01\x60\0\x01\x7f")
        .section(2, [&b"\x01"[..], &name(b"wrun_v1"), &name(b"input_count"), b"\0\0"].concat())
        .section(3, [&number(FUNCTIONS)[..], &[0; FUNCTIONS]].concat())
        .section(7, [&b"\x01"[..], &name(b"wrun:task/t"), b"\0\x01"].concat())
        .section(10, [number(FUNCTIONS), (0..FUNCTIONS).flat_map(body).collect()].concat());
    let with = |module: Wasm, (section, bytes): &(&str, Vec<u8>)| {
        module.section(0, [&name(format!(".debug_{section}").as_bytes())[..], bytes].concat())
    };
    support::module(sections.iter().fold(module, with).bytes)
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).expect("a small number").to_le_bytes()
}

/// Bytes preceded by their length.
fn unit(bytes: &[u8]) -> Vec<u8> {
    [&word(bytes.len()), bytes].concat()
}

/// A unit (version 4) of this many functions from this one on; `rest` follows its attributes: line program, address, length.
fn unit_of(first: usize, functions: usize, rest: &[u8]) -> Vec<u8> {
    let header = [&[4, 0][..], &word(0), &[4]].concat();
    let addresses = [word(1 + FUNCTION_BYTES * first), word(FUNCTION_BYTES * functions)].concat();
    unit(&[&header[..], &[1], &word(0), &addresses, rest].concat())
}

/// A unit for each function, all with the same line program.
fn units() -> Vec<u8> {
    (0..FUNCTIONS).flat_map(|index| unit_of(index, 1, &[0])).collect()
}

/// One unit with one function that has all addresses, with these children.
fn inlining(children: &[u8]) -> Vec<u8> {
    let function = [&[2][..], &word(1), &word(FUNCTIONS * FUNCTION_BYTES), children, &[0, 0]].concat();
    unit_of(0, FUNCTIONS, &function)
}

/// A compilation unit with a line program and an address range.
const UNIT: &[u8] = b"\x01\x11\x01\x10\x17\x11\x01\x12\x06\0\0";
/// A function with an address range, and an inlined one without anything.
const FUNCTION: &[u8] = b"\x02\x2e\x01\x11\x01\x12\x06\0\0";
const INLINED: &[u8] = b"\x03\x1d\x01\0\0";

fn abbreviations(all: &[&[u8]]) -> Vec<u8> {
    [&all.concat()[..], &[0]].concat()
}

/// A line program (version 4) with these instructions.
fn lines(instructions: &[u8]) -> Vec<u8> {
    let header = b"\x01\x01\x01\xfb\x0e\x0d\0\x01\x01\x01\x01\0\0\0\x01\0\0\x01\0a\0\0\0\0\0";
    unit(&[&b"\x04\0"[..], &unit(header), b"\0\x05\x02", &word(0), instructions, b"\0\x01\x01"].concat())
}

/// A line program (version 5) that lists this many files, one byte each.
fn files(count: usize) -> Vec<u8> {
    let header = [
        &b"\x01\x01\x01\xfb\x0e\x0d\0\x01\x01\x01\x01\0\0\0\x01\0\0\x01\x01\x01\x0b\x01\0\x01\x01\x0b"[..],
        &number(count),
        &vec![0; count],
    ];
    unit(&[&b"\x05\0\x04\0"[..], &unit(&header.concat()), b""].concat())
}

/// The bytes that a worker's memory had at most, once tasks of this module have trapped.
#[track_caller]
fn peak_of_traps(bomb: &Module, what: &str) -> u64 {
    let mark = Flag::new();
    let mut job = Job::new(bomb).limits(patient());
    job.inputs.push(("mark".to_owned(), mark.input()));
    let mut pool = support::pool(1);
    let mut worker = None;
    for outcome in pool.map(&job, (0..3).map(|_| Task::default())).expect("a run") {
        let error = failure(&outcome);
        assert_eq!(error.status, Status::Trap, "{what}: {error}");
        let trace = error.backtrace.as_deref().unwrap_or_default();
        assert!(trace.contains("<wasm function 64>") && trace.contains("wrun:task/t"), "{what}: {trace}");
        let now = workers_that_hold(mark.path());
        assert_eq!(*worker.get_or_insert(now.clone()), now, "{what}: the worker lives");
    }
    let status = format!("/proc/{}/status", worker.expect("an outcome")[0]);
    let status = std::fs::read_to_string(status).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn a_backtrace_takes_little_memory_whatever_the_dwarf_says() {
    let plain = peak_of_traps(&module(&[]), "no DWARF");
    let small = module(&[("abbrev", abbreviations(&[UNIT])), ("info", units()), ("line", lines(b"   "))]);
    let small = peak_of_traps(&small, "small");
    assert!(small < plain + (8 << 20), "{plain} {small}");
    const MANY: usize = 4_000_000;
    let all = abbreviations(&[UNIT, FUNCTION, INLINED]);
    let bombs = [
        ("rows", all.clone(), units(), lines(&vec![b' '; MANY])),
        ("inlined functions", all.clone(), inlining(&[3, 0].repeat(MANY / 12)), lines(b"")),
        ("levels of inlined functions", all.clone(), inlining(&vec![3; MANY / 12]), lines(b"")),
        ("files", all, units(), files(MANY)),
    ];
    for (what, abbrev, info, line) in bombs {
        let bomb = module(&[("abbrev", abbrev), ("info", info), ("line", line)]);
        let peak = peak_of_traps(&bomb, what);
        assert!(peak < plain + (200 << 20), "{what}: {} MB more than without DWARF", (peak - plain) >> 20);
    }
}
