//! Describes a module by what it imports and exports, whoever has read it: this crate from its bytes (see `binary`), or wasmtime from
//! precompiled code.

use std::fmt;

use wasmtime::{ExternType, HeapType, Module, ValType};

use super::description::{Description, Extern, Memory, func_type};
use super::resources::Resources;
use super::wasi_imports::is_wasi;
use wrun_ipc::entry::{COMMAND_EXPORT, Number, Scalar};

/// What a module declares.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    pub imports: Vec<Import>,
    pub exports: Vec<(String, ItemType)>,
    pub resources: Resources,
}

#[derive(Debug)]
pub(super) struct Import {
    pub module: String,
    pub name: String,
    pub ty: ItemType,
}

/// The type of an import or export.
#[derive(Debug)]
pub(super) enum ItemType {
    Func { params: Vec<ValueType>, results: Vec<ValueType> },
    Memory(Memory),
    Global,
    Table,
    Tag,
}

/// The type of a parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Number(Number),
    Vector,
    Reference(ReferenceType),
}

/// The type of a reference. Types that the module defines itself are named by their kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReferenceType {
    pub is_nullable: bool,
    /// As in the text format: `extern`, `func`, `struct`.
    pub heap_type: &'static str,
}

impl Declarations {
    /// What wasmtime knows of a module, whose code says whether it has 64-bit memories.
    pub fn of_module(module: &Module, large_memories: bool) -> Declarations {
        let needs = module.resources_required();
        Declarations {
            imports: module
                .imports()
                .map(|import| Import {
                    module: import.module().to_owned(),
                    name: import.name().to_owned(),
                    ty: ItemType::of(&import.ty()),
                })
                .collect(),
            exports: module.exports().map(|export| (export.name().to_owned(), ItemType::of(&export.ty()))).collect(),
            resources: Resources {
                memories: needs.num_memories,
                tables: needs.num_tables,
                memory_pages: needs.max_initial_memory_size.unwrap_or(0),
                table_elements: needs.max_initial_table_size.unwrap_or(0),
                large_memories,
            },
        }
    }

    /// Describes the module.
    pub fn describe(self) -> Description {
        let Declarations { imports, exports, resources } = self;
        let mut description = resources.describe();
        for Import { module, name, ty } in imports {
            match module.as_str() {
                wrun_abi::MODULE => description.wrun_imports.push(name.clone()),
                module if is_wasi(module) => description.wasi = true,
                _ => {}
            }
            description.imports.push(Extern { module, name, ty: ty.to_string() });
        }
        for (name, ty) in exports {
            match &ty {
                ItemType::Func { params, results } => add_function(&mut description, &name, params, results),
                ItemType::Memory(memory) if name == wrun_abi::MEMORY_EXPORT => {
                    description.memory = Some(memory.clone());
                }
                _ => {}
            }
            description.exports.push(Extern { module: String::new(), name, ty: ty.to_string() });
        }
        description
    }
}

/// Adds an exported function to the entries that it can be.
fn add_function(description: &mut Description, name: &str, params: &[ValueType], results: &[ValueType]) {
    let numbers = |types: &[ValueType]| types.iter().map(ValueType::number).collect::<Option<Vec<_>>>();
    let (params, results) = (numbers(params), numbers(results));
    match (name, params.as_deref(), results.as_deref()) {
        (COMMAND_EXPORT, Some([]), Some([])) => description.command = true,
        (wrun_abi::INITIALIZE_EXPORT, Some([]), Some([])) => description.initialize = true,
        (wrun_abi::INITIALIZER_EXPORT, Some([]), Some([])) => description.initializer = true,
        (name, params, results) if is_task_export(name) => {
            if let (Some(task), Some([]), Some([Number::I32])) = (wrun_abi::task_name(name), params, results)
                && !description.tasks.iter().any(|known| known == task)
            {
                description.tasks.push(task.to_owned());
            }
        }
        // Names of the toolchain (`__wasm_call_ctors`, `__main_void`), which are not meant to be called.
        (name, ..) if name.starts_with("__") => {}
        _ => {
            if let (Some(params), Some(results)) = (params, results) {
                description.scalars.push(Scalar { name: name.to_owned(), params, results });
            }
        }
    }
}

fn is_task_export(name: &str) -> bool {
    wrun_abi::TASK_EXPORT_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

impl ValueType {
    fn number(&self) -> Option<Number> {
        match self {
            ValueType::Number(number) => Some(*number),
            ValueType::Vector | ValueType::Reference(_) => None,
        }
    }
}

impl ItemType {
    fn of(ty: &ExternType) -> ItemType {
        match ty {
            ExternType::Func(func) => ItemType::Func {
                params: func.params().map(|ty| ValueType::of(&ty)).collect(),
                results: func.results().map(|ty| ValueType::of(&ty)).collect(),
            },
            ExternType::Memory(memory) => ItemType::Memory(Memory {
                minimum: memory.minimum(),
                maximum: memory.maximum(),
                is_64: memory.is_64(),
                shared: memory.is_shared(),
            }),
            ExternType::Global(_) => ItemType::Global,
            ExternType::Table(_) => ItemType::Table,
            ExternType::Tag(_) => ItemType::Tag,
        }
    }
}

impl ValueType {
    fn of(ty: &ValType) -> ValueType {
        match ty {
            ValType::I32 => ValueType::Number(Number::I32),
            ValType::I64 => ValueType::Number(Number::I64),
            ValType::F32 => ValueType::Number(Number::F32),
            ValType::F64 => ValueType::Number(Number::F64),
            ValType::V128 => ValueType::Vector,
            ValType::Ref(reference) => ValueType::Reference(ReferenceType {
                is_nullable: reference.is_nullable(),
                heap_type: heap_type(reference.heap_type()),
            }),
        }
    }
}

fn heap_type(ty: &HeapType) -> &'static str {
    match ty {
        HeapType::Extern => "extern",
        HeapType::NoExtern => "noextern",
        HeapType::Func | HeapType::ConcreteFunc(_) => "func",
        HeapType::NoFunc => "nofunc",
        HeapType::Any => "any",
        HeapType::Eq => "eq",
        HeapType::I31 => "i31",
        HeapType::Array | HeapType::ConcreteArray(_) => "array",
        HeapType::Struct | HeapType::ConcreteStruct(_) => "struct",
        HeapType::None => "none",
        HeapType::Cont | HeapType::ConcreteCont(_) => "cont",
        HeapType::NoCont => "nocont",
        HeapType::Exn | HeapType::ConcreteExn(_) => "exn",
        HeapType::NoExn => "noexn",
    }
}

impl fmt::Display for ItemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ItemType::Func { params, results } => f.write_str(&func_type(params, results)),
            ItemType::Memory(memory) => {
                let maximum = memory.maximum.map(|pages| pages.to_string()).unwrap_or_default();
                let wide = if memory.is_64 { " 64-bit" } else { "" };
                let shared = if memory.shared { " shared" } else { "" };
                write!(f, "memory {}..{maximum}{wide}{shared}", memory.minimum)
            }
            ItemType::Global => f.write_str("global"),
            ItemType::Table => f.write_str("table"),
            ItemType::Tag => f.write_str("tag"),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueType::Number(number) => number.fmt(f),
            ValueType::Vector => f.write_str("v128"),
            ValueType::Reference(ReferenceType { is_nullable, heap_type }) => {
                write!(f, "(ref {}{heap_type})", if *is_nullable { "null " } else { "" })
            }
        }
    }
}
