//! What a module's bytes say about how it uses its memory: whether an allocator takes all of it for its own, and where data lies.

use std::ops::Range;

use memchr::memmem;
use wasmparser::{
    ConstExpr, Data, DataKind, ExternalKind, KnownCustom, Name, NameSectionReader, Operator, Parser, Payload,
};
use wrun_abi::{MEMORY_EXPORT, PAGE};

use super::description::{Description, Extern};

/// A language, or a compiler, whose allocator takes all memory for its own, also what the host adds. Allocators that use only what
/// `memory.grow` returns to them are safe: those of Rust, Zig, and C and C++ with wasi-libc since 2023.
struct Language {
    name: &'static str,
    /// Each of them is enough.
    signs: &'static [Sign],
}

/// How a language is recognized.
enum Sign {
    /// A tool in the field `processed-by` of the section `producers`.
    ProcessedBy(&'static str),
    /// A custom section.
    Section(&'static str),
    /// All of these bytes in data segments.
    Data(&'static [&'static [u8]]),
    /// The beginning of a function's name in the section `name`.
    FunctionPrefix(&'static str),
    /// All of these exports.
    Exports(&'static [&'static str]),
    /// An import: module, name and type.
    Import(&'static str, &'static str, &'static str),
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "Go",
        signs: &[
            Sign::ProcessedBy("Go cmd/compile"),
            Sign::Section("go:buildid"),
            // Its runtime's table of functions: the table's header (Go 1.20 and later), and a name that no program lacks.
            Sign::Data(&[b"\xf1\xff\xff\xff\0\0\x01\x08", b"runtime.mallocgc"]),
        ],
    },
    // Its heap ends where memory does.
    Language { name: "TinyGo", signs: &[Sign::ProcessedBy("TinyGo")] },
    // It writes no section `producers`. These are there with --exportRuntime and with --debug.
    Language {
        name: "AssemblyScript",
        signs: &[
            Sign::Exports(&["__new", "__pin", "__unpin", "__collect"]),
            Sign::FunctionPrefix("~lib/rt/"),
            Sign::Import("env", "abort", "func (i32 i32 i32 i32) -> ()"),
        ],
    },
    // Its `sbrk` counts by itself where memory ends.
    Language {
        name: "Emscripten",
        signs: &[
            Sign::Exports(&["emscripten_stack_get_current"]),
            Sign::Import("env", "emscripten_notify_memory_growth", "func (i32) -> ()"),
            Sign::Import("env", "emscripten_resize_heap", "func (i32) -> (i32)"),
        ],
    },
];

/// Adds what the bytes of a valid binary module say to its description.
pub(super) fn examine(module: &[u8], description: Description) -> Description {
    let contents = Contents::of(module);
    let owner = LANGUAGES.iter().find(|language| language.signs.iter().any(|sign| contents.show(sign, &description)));
    Description {
        owns_memory: owner.map(|language| language.name.to_owned()),
        data_segments: contents.data_range(),
        ..description
    }
}

/// The parts of a module in which there can be signs.
#[derive(Default)]
struct Contents<'a> {
    processed_by: Vec<&'a str>,
    sections: Vec<&'a str>,
    names: Vec<NameSectionReader<'a>>,
    data: Vec<Data<'a>>,
    /// Whether all data segments could be read.
    has_all_data: bool,
    /// The index of the memory exported as `memory`.
    memory: Option<u32>,
}

impl<'a> Contents<'a> {
    fn of(module: &'a [u8]) -> Self {
        let mut contents = Contents { has_all_data: true, ..Contents::default() };
        for payload in Parser::new(0).parse_all(module) {
            match payload {
                Ok(Payload::ExportSection(exports)) => {
                    let exports = &mut exports.into_iter().map_while(Result::ok);
                    let memory =
                        exports.find(|export| export.kind == ExternalKind::Memory && export.name == MEMORY_EXPORT);
                    contents.memory = memory.map(|export| export.index);
                }
                Ok(Payload::DataSection(section)) => {
                    for data in section {
                        match data {
                            Ok(data) => contents.data.push(data),
                            Err(_) => contents.has_all_data = false,
                        }
                    }
                }
                Ok(Payload::CustomSection(section)) => {
                    contents.sections.push(section.name());
                    match section.as_known() {
                        KnownCustom::Producers(fields) => {
                            let fields = fields.into_iter().map_while(Result::ok);
                            let tools = fields.filter(|field| field.name == "processed-by");
                            let tools = tools.flat_map(|field| field.values.into_iter().map_while(Result::ok));
                            contents.processed_by.extend(tools.map(|tool| tool.name));
                        }
                        KnownCustom::Name(names) => contents.names.push(names),
                        _ => {}
                    }
                }
                Ok(_) => {}
                Err(_) => {
                    contents.has_all_data = false;
                    break;
                }
            }
        }
        contents
    }

    fn show(&self, sign: &Sign, description: &Description) -> bool {
        match sign {
            Sign::ProcessedBy(tool) => self.processed_by.contains(tool),
            Sign::Section(name) => self.sections.contains(name),
            Sign::Data(all) => {
                let is_there = |bytes: &&[u8]| self.data.iter().any(|data| memmem::find(data.data, bytes).is_some());
                all.iter().all(is_there)
            }
            Sign::FunctionPrefix(prefix) => self.function_names().any(|name| name.starts_with(prefix)),
            Sign::Exports(names) => {
                names.iter().all(|name| description.exports.iter().any(|export| export.name == *name))
            }
            Sign::Import(module, name, ty) => {
                let is_it = |import: &Extern| (&*import.module, &*import.name, &*import.ty) == (*module, *name, *ty);
                description.imports.iter().any(is_it)
            }
        }
    }

    fn function_names(&self) -> impl Iterator<Item = &'a str> {
        let parts = self.names.iter().flat_map(|names| names.clone().map_while(Result::ok));
        let maps = parts.filter_map(|part| if let Name::Function(map) = part { Some(map) } else { None });
        maps.flat_map(|map| map.into_iter().map_while(Result::ok)).map(|naming| naming.name)
    }

    /// The part of the exported memory that active data segments fill; `None` if that cannot be known.
    fn data_range(&self) -> Option<Range<u64>> {
        let mut all: Option<Range<u64>> = None;
        for data in &self.data {
            let DataKind::Active { memory_index, offset_expr } = &data.kind else { continue };
            if Some(*memory_index) != self.memory || data.data.is_empty() {
                continue;
            }
            let start = constant(offset_expr)?;
            let end = start.checked_add(data.data.len() as u64)?;
            all = Some(all.map_or(start..end, |all| all.start.min(start)..all.end.max(end)));
        }
        // Whole pages: wasmtime's image of the data is made of pages of the system, which are not larger.
        let pages = |all: Range<u64>| all.start / PAGE * PAGE..all.end.next_multiple_of(PAGE);
        self.has_all_data.then(|| all.map(pages).unwrap_or(0..0))
    }
}

/// The value of an expression that is one number.
fn constant(expression: &ConstExpr<'_>) -> Option<u64> {
    let mut operators = expression.get_operators_reader();
    let value = match operators.read().ok()? {
        Operator::I32Const { value } => u64::from(value as u32),
        Operator::I64Const { value } => value as u64,
        _ => return None,
    };
    matches!(operators.read().ok()?, Operator::End).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::describe::Declarations;

    fn examined(text: &str) -> Description {
        let bytes = wat::parse_str(text).unwrap();
        let module = wasmtime::Module::new(&wasmtime::Engine::default(), &bytes).unwrap();
        examine(&bytes, Declarations::of_module(&module, false).describe())
    }

    fn owner(text: &str) -> Option<String> {
        examined(&format!("(module {text})")).owns_memory
    }

    #[test]
    fn languages_with_such_allocators_are_recognized() {
        let go = Some("Go".to_owned());
        assert_eq!(owner(r#"(@producers (language "Go" "1.27") (processed-by "Go cmd/compile" "go1.27.3"))"#), go);
        assert_eq!(owner(r#"(@custom "go:buildid" "id")"#), go);
        let table = r#"(data "\f1\ff\ff\ff\00\00\01\08") (data "runtime.gopanic\00runtime.mallocgc\00")"#;
        assert_eq!(owner(table), go);
        // A program that says so much about Go is not written in it for that reason.
        assert_eq!(owner(r#"(data "runtime.gopanic\00runtime.mallocgc\00")"#), None);

        assert_eq!(owner(r#"(@producers (language "C11" "") (processed-by "TinyGo" "0.39"))"#), Some("TinyGo".into()));

        let script = Some("AssemblyScript".to_owned());
        let exports = ["__new", "__pin", "__unpin", "__collect"].map(|name| format!(r#"(func (export "{name}"))"#));
        assert_eq!(owner(&exports.concat()), script);
        assert_eq!(owner(r#"(func $"~lib/rt/tlsf/growMemory")"#), script);
        assert_eq!(owner(r#"(import "env" "abort" (func (param i32 i32 i32 i32)))"#), script);
        assert_eq!(owner(r#"(import "env" "abort" (func))"#), None, "C's");

        let emscripten = r#"(func (export "emscripten_stack_get_current") (result i32) (i32.const 0))"#;
        assert_eq!(owner(emscripten), Some("Emscripten".into()));
    }

    #[test]
    fn languages_that_use_what_grow_returns_are_not() {
        for tools in ["(language \"Rust\" \"\") (processed-by \"rustc\" \"1.95\")", "(processed-by \"clang\" \"21\")"] {
            assert_eq!(owner(&format!("(@producers {tools})")), None);
        }
        assert_eq!(owner(""), None);
    }

    #[test]
    fn data_segments_are_found_in_whole_pages() {
        let data = |text: &str| {
            let memory = r#"(memory $other 4) (memory (export "memory") 4)"#;
            examined(&format!("(module {memory} {text})")).initial_data()
        };
        assert_eq!(data(""), 0..0);
        assert_eq!(data(r#"(data (memory 1) (i32.const 65535) "ab")"#), 0..131072);
        assert_eq!(data(r#"(data (memory 1) (i32.const 65536) "ab")"#), 65536..131072);
        let two = r#"(data (memory 1) (i32.const 131073) "a") (data (memory 1) (i32.const 70000) "a")"#;
        assert_eq!(data(two), 65536..196608);
        let none = r#"(data (i32.const 0) "other memory") (data "passive") (data (memory 1) (i32.const 65536) "")"#;
        assert_eq!(data(none), 0..0);
        // It is not worked out, so it may lie anywhere.
        let computed = r#"(global $at i32 (i32.const 65536)) (data (memory 1) (global.get $at) "a")"#;
        assert_eq!(data(computed), 0..262144);
        let wide = r#"(module (memory (export "memory") i64 4) (data (i64.const 65536) "a"))"#;
        assert_eq!(examined(wide).initial_data(), 65536..131072);
    }
}
