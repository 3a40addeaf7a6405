//! Writes the library of atomic instructions that `src/raw/words.rs` calls.
//!
//! Without the target feature `atomics`, the compiler turns `core::sync::atomic` into plain loads and stores, because it
//! assumes that only one thread uses a module's memory. Updates of shared memory would be lost silently. The feature is
//! unstable, and everyone who builds a guest would have to know about it. But the instructions themselves work in ordinary
//! memories, so this script writes an object file with one function for each, which any guest can link.
//!
//! Sources: the WebAssembly binary format and the threads proposal; "WebAssembly Object File Linking" of the tool
//! conventions.

use std::path::PathBuf;

const I32: u8 = 0x7f;
const I64: u8 = 0x7e;

/// Name, parameter types, result types, and the opcode (after the prefix 0xfe).
type Function = (&'static str, &'static [u8], &'static [u8], u8);

const FUNCTIONS: &[Function] = &[
    ("wrun_atomic_load", &[I32], &[I64], 0x11),
    ("wrun_atomic_store", &[I32, I64], &[], 0x18),
    ("wrun_atomic_add", &[I32, I64], &[I64], 0x1f),
    ("wrun_atomic_exchange", &[I32, I64], &[I64], 0x42),
    ("wrun_atomic_compare_exchange", &[I32, I64, I64], &[I64], 0x49),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let var = |name| std::env::var(name).unwrap_or_default();
    if var("CARGO_CFG_TARGET_FAMILY").split(',').any(|family| family == "wasm") {
        let directory = PathBuf::from(var("OUT_DIR"));
        std::fs::write(directory.join("libwrun_atomics.a"), archive("atomics.o", &object()))
            .expect("OUT_DIR is writable");
        println!("cargo::rustc-link-search=native={}", directory.display());
    }
}

/// A relocatable module with the functions.
fn object() -> Vec<u8> {
    let types = FUNCTIONS.iter().map(|(_, params, results, _)| {
        let list = |types: &[u8]| vector(types.iter().map(|ty| vec![*ty]));
        [&[0x60][..], &list(params), &list(results)].concat()
    });
    // The linker gives all objects the same memory.
    let memory = [&name("env")[..], &name("__linear_memory"), &[2, 0, 0]].concat();
    let indexes = (0..FUNCTIONS.len()).map(|index| vec![index as u8]);
    let bodies = FUNCTIONS.iter().map(|(_, params, _, instruction)| {
        let arguments = (0..params.len()).flat_map(|local| [0x20, local as u8]);
        // No locals; the parameters; the instruction with alignment 2^3 and offset 0; `end`.
        let code: Vec<u8> = [0].into_iter().chain(arguments).chain([0xfe, *instruction, 3, 0, 0x0b]).collect();
        [number(code.len()), code].concat()
    });
    let symbols = FUNCTIONS.iter().enumerate().map(|(index, (symbol, ..))| {
        const HIDDEN: u8 = 4;
        [&[0, HIDDEN, index as u8][..], &name(symbol)].concat()
    });
    let symbols = vector(symbols);
    let linking = [&name("linking")[..], &[2, 8], &number(symbols.len()), &symbols].concat();
    let features = [&name("target_features")[..], &[1, b'+'], &name("atomics")].concat();
    let header = b"\0asm\x01\0\0\0".to_vec();
    let sections = [
        (1, vector(types)),
        (2, vector([memory])),
        (3, vector(indexes)),
        (10, vector(bodies)),
        (0, linking),
        (0, features),
    ];
    let sections = sections.into_iter().flat_map(|(id, body)| [vec![id], number(body.len()), body].concat());
    header.into_iter().chain(sections).collect()
}

/// A static library with one object: ar(5).
fn archive(name: &str, object: &[u8]) -> Vec<u8> {
    let (name, len) = (format!("{name}/"), object.len());
    let header = format!("!<arch>\n{name:<16}{:<12}{:<6}{:<6}{:<8}{len:<10}`\n", 0, 0, 0, 644);
    let padding = if len.is_multiple_of(2) { &b""[..] } else { b"\n" };
    [header.as_bytes(), object, padding].concat()
}

fn vector(items: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let items: Vec<Vec<u8>> = items.into_iter().collect();
    [number(items.len()), items.concat()].concat()
}

fn name(text: &str) -> Vec<u8> {
    [&number(text.len())[..], text.as_bytes()].concat()
}

/// A number in LEB128.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
