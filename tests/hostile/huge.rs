//! Modules that are huge, or designed to be hard to parse or compile: each either works or hits a limit and is refused in one line.

use super::wasm::{Wasm, is_refused, name, number, one_function};
use crate::cli::kit::{Place, ok};

#[test]
fn what_is_huge_works_or_is_refused_by_a_limit_that_is_named() {
    let place = Place::new();
    let repeat = |piece: &[u8], count: usize| piece.repeat(count);
    let works = [
        (
            "10,000 nested blocks",
            one_function(&[b"\0", &repeat(b"\x02\x40", 10_000)[..], &repeat(b"\x0b", 10_001)].concat()),
        ),
        ("50,000 locals", one_function(&[&b"\x01"[..], &number(50_000), b"\x7e\x0b"].concat())),
        (
            "an expression of 2,000 numbers",
            one_function(&[b"\0", &repeat(b"\x41\x01", 2000)[..], &repeat(b"\x6a", 1999), b"\x1a\x0b"].concat()),
        ),
        (
            "30,000 globals",
            Wasm::new()
                .section(1, b"\x01\x60\0\0")
                .section(3, b"\x01\0")
                .section(6, [number(30_000), repeat(b"\x7e\x01\x42\0\x0b", 30_000)].concat())
                .function(b"\0\x0b")
                .bytes,
        ),
        ("2,000 functions", functions(2000)),
        ("a table of 60,000 branches", branches(60_000)),
    ];
    for (what, module) in works {
        place.file("m.wasm", module);
        assert_eq!(place.says(&["map", "m.wasm", ""]), ok(""), "{what}");
    }
    let refused = [
        ("too many locals", one_function(&[&b"\x01"[..], &number(1_000_000), b"\x7e\x0b"].concat())),
        ("targets, which exceeds the implementation limit", branches(100_000)),
        (
            "function params size is out of bounds",
            Wasm::new().section(1, [&b"\x01\x60"[..], &number(1001), &repeat(b"\x7f", 1001), b"\0"].concat()).bytes,
        ),
        (
            "is too large: wrun runs modules with at most 1000000 functions",
            Wasm::new().section(1, b"\x01\x60\0\0").section(3, [number(1_000_001), vec![0; 1_000_001]].concat()).bytes,
        ),
        (
            "string size out of bounds",
            Wasm::new().section(7, [&b"\x01"[..], &name(&vec![b'x'; 100_001]), b"\0\0"].concat()).bytes,
        ),
        ("imports and exports of more than 16 MiB", exports(300, 90_000)),
    ];
    for (says, module) in refused {
        place.file("m.wasm", module);
        is_refused(&place, &[], says);
    }
}

/// A module of this many empty functions, all of them exported.
pub fn functions(count: usize) -> Vec<u8> {
    let exports: Vec<u8> = (0..count)
        .flat_map(|index| {
            let export = if index == 0 { "f".to_owned() } else { format!("__{index}") };
            [name(export.as_bytes()), vec![0], number(index)].concat()
        })
        .collect();
    Wasm::new()
        .section(1, b"\x01\x60\0\0")
        .section(3, [number(count), vec![0; count]].concat())
        .section(7, [number(count), exports].concat())
        .section(10, [number(count), b"\x02\0\x0b".repeat(count)].concat())
        .bytes
}

/// A module that exports one function under `count` names of `len` bytes each.
fn exports(count: usize, len: usize) -> Vec<u8> {
    let names: Vec<u8> = (0..count)
        .flat_map(|index| [&name(format!("{index:05}{}", "x".repeat(len - 5)).as_bytes())[..], b"\0\0"].concat())
        .collect();
    Wasm::new()
        .section(1, b"\x01\x60\0\0")
        .section(3, b"\x01\0")
        .section(7, [number(count), names].concat())
        .section(10, b"\x01\x02\0\x0b")
        .bytes
}

/// A function with a table of this many branches to the end of one block.
fn branches(count: usize) -> Vec<u8> {
    one_function(&[&b"\0\x02\x40\x41\0\x0e"[..], &number(count), &vec![0; count], b"\0\x0b\x0b"].concat())
}

#[test]
fn what_is_made_to_be_hard_to_compile_ends_at_a_limit_that_is_named() {
    let place = Place::new();
    place.file("m.wasm", functions(100_000));
    is_refused(
        &place,
        &["--compile-timeout", "50ms"],
        "took longer to compile than 50ms; raise it with --compile-timeout",
    );
    let blocks = [b"\0", &b"\x02\x40".repeat(300_000)[..], &b"\x0b".repeat(300_001)].concat();
    place.file("m.wasm", one_function(&blocks));
    is_refused(
        &place,
        &["--compile-memory", "192M"],
        "took more memory to compile than 192 MiB; raise it with --compile-memory",
    );
    place.file("m.wasm", one_function(b"\0\x0b"));
    assert_eq!(place.says(&["map", "m.wasm", "", "--compile-memory", "192M"]), ok(""), "the control");
}

#[test]
fn text_that_is_made_to_be_hard_to_read_is_refused_or_works() {
    let place = Place::new();
    let repeat = |piece: &str, count: usize| piece.repeat(count);
    for (what, text) in [
        ("parentheses", repeat("(", 1_000_000)),
        ("nested comments", format!("(module {}", repeat("(; ", 1_000_000))),
        ("nested components", repeat("(component ", 100_000)),
        ("an unterminated string", format!("(module (func (export \"{}", repeat("x", 1_000_000))),
        ("a number of a million digits", format!("(module (global i32 (i32.const {})))", repeat("9", 1_000_000))),
        ("300,000 parameters", format!("(module (type (func {})))", repeat("(param i32)", 300_000))),
    ] {
        place.file("m.wasm", text);
        is_refused(&place, &[], "m.wasm ");
        assert!(!place.says(&["inspect", "m.wasm"]).stderr.contains("crashed"), "{what}");
    }
    let sums = format!("{}(i32.const 1){}", repeat("(i32.add (i32.const 1) ", 10_000), repeat(")", 10_000));
    place.file("m.wasm", format!("(module (func (export \"f\") (result i32) {sums}))"));
    assert_eq!(place.says(&["map", "m.wasm", ""]), ok("10001\n"), "nested sums work");
}
