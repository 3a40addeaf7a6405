//! Modules that are malformed, or that import something that does not exist: each is refused with a one-line message.

use super::kit::listing;
use super::wasm::{Wasm, is_refusal, is_refused, name};
use crate::cli::kit::{Place, ok};
use crate::support::guest;

#[test]
fn a_module_that_is_cut_anywhere_is_refused_in_one_line() {
    let place = Place::new();
    let whole = std::fs::read(guest("hello-wasi")).expect("a module");
    place.file("m.wasm", &whole);
    assert_eq!(place.says(&["map", "m.wasm", "you"]), ok("hello, you\n"), "the whole module works");
    let boundaries = sections(&whole);
    assert!(boundaries.len() > 8, "{boundaries:?}");
    // The end of each section, the bytes around it, and a few offsets in between.
    let mut cuts: Vec<usize> = boundaries.iter().flat_map(|end| [end - 1, *end, end + 1, end + 2]).collect();
    cuts.extend((0..32).chain((0..16).map(|at| whole.len() * at / 16 + at)));
    cuts.retain(|cut| *cut < whole.len());
    cuts.sort_unstable();
    cuts.dedup();
    let before = listing(place.path()).len();
    for cut in cuts {
        place.file("m.wasm", &whole[..cut]);
        let said = place.says(&["inspect", "m.wasm"]);
        // Without its last sections it may be another valid module.
        let may_work = boundaries.contains(&cut);
        assert!(is_refusal(&said) || (may_work && said.code == Some(0)), "cut at {cut}: {said:?}");
    }
    assert_eq!(listing(place.path()).len(), before);
}

/// Where the header and each section ends.
fn sections(module: &[u8]) -> Vec<usize> {
    let mut at = 8;
    let mut ends = vec![at];
    while at < module.len() {
        let (len, start) = read_number(module, at + 1);
        at = start + len;
        ends.push(at);
    }
    ends
}

/// A number in LEB128, and the offset at which it ends.
fn read_number(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        value |= usize::from(bytes[at] & 0x7f) << shift;
        at += 1;
        if bytes[at - 1] & 0x80 == 0 {
            return (value, at);
        }
        shift += 7;
    }
}

#[test]
fn a_module_with_any_byte_changed_is_refused_or_works() {
    let place = Place::new();
    let whole = Wasm::new()
        .section(1, b"\x02\x60\0\x01\x7f\x60\x01\x7f\x01\x7f")
        .section(2, [&b"\x01"[..], &name(b"wrun_v1"), &name(b"arg_len"), b"\0\0"].concat())
        .section(3, b"\x02\0\x01")
        .section(4, b"\x01\x70\0\x02")
        .section(5, b"\x01\0\x01")
        .section(6, b"\x01\x7f\x01\x41\x05\x0b")
        .section(7, [&b"\x02"[..], &name(b"f"), b"\0\x01", &name(b"memory"), b"\x02\0"].concat())
        .section(9, b"\x01\0\x41\0\x0b\x02\0\x01")
        .section(10, b"\x02\x07\0\x23\0\x10\0\x6a\x0b\x04\0\x20\0\x0b")
        .section(11, b"\x01\0\x41\0\x0b\x03abc")
        .bytes;
    place.file("m.wasm", &whole);
    assert_eq!(place.says(&["map", "m.wasm", ""]), ok("5\n"), "the module works");
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= [0xff, 0x80, 0x01, 0x40][at % 4];
        place.file("m.wasm", broken);
        let said = place.says(&["map", "m.wasm", "", "--timeout", "20s"]);
        let ran = matches!(said.code, Some(0 | 2 | 100)) && !said.stderr.contains("another takes its place");
        assert!(is_refusal(&said) || ran, "byte {at}: {said:?}");
        refused += u32::from(is_refusal(&said));
    }
    assert!(refused as usize > whole.len() / 2, "{refused} of {} were refused", whole.len());
}

#[test]
fn numbers_and_sections_that_are_wrong_are_refused() {
    let place = Place::new();
    let sections: &[(&str, Wasm)] = &[
        (
            "a length of five bytes that is too large",
            Wasm { bytes: b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x7f".to_vec() },
        ),
        ("an unterminated length", Wasm { bytes: [&b"\0asm\x01\0\0\0\x01"[..], &[0x80; 100]].concat() }),
        ("a length beyond the file", Wasm { bytes: b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\x0f".to_vec() }),
        ("a count of types without types", Wasm::new().section(1, b"\xff\xff\xff\xff\x0f")),
        ("functions without code", Wasm::new().section(1, b"\x01\x60\0\0").section(3, b"\x01\0")),
        ("code without functions", Wasm::new().section(10, b"\x01\x02\0\x0b")),
        ("a type that does not exist", Wasm::new().section(3, b"\x01\x09").section(10, b"\x01\x02\0\x0b")),
        ("a repeated section", Wasm::new().section(1, b"\0").section(1, b"\0")),
        ("sections in the wrong order", Wasm::new().section(3, b"\0").section(1, b"\0")),
        ("an unknown section", Wasm::new().section(99, b"\0")),
        ("a name that is not UTF-8", Wasm::new().section(7, b"\x01\x02\xff\xfe\x03\0")),
        ("a repeated export", Wasm::new().section(5, b"\x01\0\x01").section(7, b"\x02\x01m\x02\0\x01m\x02\0")),
        ("a start function that does not exist", Wasm::new().section(8, b"\x05")),
        ("a memory of more than 4 GiB", Wasm::new().section(5, b"\x01\0\x81\x80\x04")),
    ];
    for (what, module) in sections {
        place.file("m.wasm", &module.bytes);
        let said = place.says(&["map", "m.wasm", ""]);
        let says_why = [" valid module: ", " is too large: "].iter().any(|sign| said.stderr.contains(sign));
        assert!(is_refusal(&said) && says_why, "{what}: {said:?}");
    }
    place.file(
        "m.wasm",
        Wasm::new()
            .section(0, name(b"anything"))
            .section(1, b"\x01\x60\0\0")
            .section(3, b"\x01\0")
            .function(b"\0\x0b")
            .bytes,
    );
    assert_eq!(place.says(&["map", "m.wasm", ""]), ok(""), "the control");
}

#[test]
fn features_that_have_no_place_here_are_refused() {
    let place = Place::new();
    for (text, says) in [
        ("(module (memory 1 2 shared) (func (export \"f\")))", "uses a shared memory, which wrun does not run: "),
        ("(component (core module (memory 1 2 shared)))", "uses a shared memory, which wrun does not run: "),
        ("(component)", "offers nothing to call"),
        ("(module (memory 1 (pagesize 1)) (func (export \"f\")))", "uses custom page sizes, which wrun does not run: "),
        ("(module (tag $t) (func (export \"f\") try (throw $t) catch $t end))", "--translate-to-exnref"),
        ("(module (memory 1) (memory 1) (memory 1) (memory 1) (memory 1) (func (export \"f\")))", "memor"),
    ] {
        place.file("m.wasm", text);
        is_refused(&place, &[], says);
    }
    place.file("m.wasm", "(module (memory i64 1) (func (export \"f\") (i32.store (i64.const 65532) (i32.const 1))))");
    assert_eq!(place.says(&["map", "m.wasm", ""]), ok(""), "the control: its own memory with 64-bit addresses");
}

#[test]
fn imports_of_the_wrong_kind_or_type_are_refused() {
    let place = Place::new();
    for import in [
        "(import \"wrun_v1\" \"arg_len\" (func (param i32) (result i32)))",
        "(import \"wrun_v1\" \"arg_len\" (func))",
        "(import \"wrun_v1\" \"arg_len\" (global i32))",
        "(import \"wrun_v1\" \"arg_len\" (memory 1))",
        "(import \"wrun_v1\" \"arg_len\" (table 1 funcref))",
        "(import \"wrun_v1\" \"input_map\" (func (param i64 i64 i64) (result i64)))",
        "(import \"wrun_v1\" \"memory\" (memory 1))",
        "(import \"wrun_v2\" \"arg_len\" (func (result i32)))",
        "(import \"WRUN_V1\" \"arg_len\" (func (result i32)))",
        "(import \"wasi_snapshot_preview1\" \"fd_write\" (func (param i64 i64 i64 i64) (result i32)))",
        "(import \"wasi_snapshot_preview1\" \"sock_open\" (func (param i32 i32) (result i32)))",
        "(import \"env\" \"system\" (func (param i32) (result i32)))",
        "(import \"\" \"\" (func))",
    ] {
        place.file("m.wasm", format!("(module {import} (memory (export \"memory\") 1) (func (export \"f\")))"));
        is_refused(&place, &[], " imports ");
    }
    for memory in [
        "(global (export \"memory\") i32 (i32.const 0))",
        "(func (export \"memory\"))",
        "(memory 1)",
        "(memory (export \"memory\") i64 1)",
    ] {
        let import = "(import \"wrun_v1\" \"arg_read\" (func (param i32)))";
        place.file("m.wasm", format!("(module {import} {memory} (func (export \"f\") (call 0 (i32.const 0))))"));
        is_refused(&place, &["--call", "f"], " imports wrun_v1::arg_read");
    }
    place.file(
        "m.wasm",
        "(module (import \"wrun_v1\" \"arg_read\" (func (param i32))) (memory (export \"memory\") 1)
            (func (export \"f\") (call 0 (i32.const 0))))",
    );
    assert_eq!(place.says(&["map", "m.wasm", ""]), ok(""), "the control");
}
