//! Describes a compiled module.

use wasmtime::{ExternType, FuncType, Module, ValType};

use super::description::{Description, Extern, Memory, func_type};
use super::wasi_imports::WASI_MODULE;
use wrun_ipc::entry::{COMMAND_EXPORT, Number, Scalar};

/// Describes `module`, whose code says whether it has 64-bit memories.
pub(crate) fn describe(module: &Module, large_memories: bool) -> Description {
    let needs = module.resources_required();
    let mut description = Description {
        tasks: Vec::new(),
        scalars: Vec::new(),
        component: false,
        command: false,
        initialize: false,
        wasi: false,
        wrun_imports: Vec::new(),
        imports: Vec::new(),
        exports: Vec::new(),
        memory: None,
        memories: needs.num_memories,
        tables: needs.num_tables,
        table_elements: needs.max_initial_table_size.unwrap_or(0),
        large_memories,
    };
    for import in module.imports() {
        match import.module() {
            wrun_abi::MODULE => description.wrun_imports.push(import.name().to_owned()),
            WASI_MODULE => description.wasi = true,
            _ => {}
        }
        description.imports.push(Extern {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
            ty: type_text(&import.ty()),
        });
    }
    for export in module.exports() {
        let (name, ty) = (export.name(), export.ty());
        match &ty {
            ExternType::Func(func) => add_function(&mut description, name, func),
            ExternType::Memory(memory) if name == wrun_abi::MEMORY_EXPORT => {
                description.memory = Some(Memory {
                    minimum: memory.minimum(),
                    maximum: memory.maximum(),
                    is_64: memory.is_64(),
                    shared: memory.is_shared(),
                });
            }
            _ => {}
        }
        description.exports.push(Extern { module: String::new(), name: name.to_owned(), ty: type_text(&ty) });
    }
    description
}

/// Adds an exported function to the entries that it can be.
fn add_function(description: &mut Description, name: &str, ty: &FuncType) {
    let numbers = |types: &mut dyn Iterator<Item = ValType>| types.map(|ty| number(&ty)).collect::<Option<Vec<_>>>();
    let (params, results) = (numbers(&mut ty.params()), numbers(&mut ty.results()));
    match (name, params.as_deref(), results.as_deref()) {
        (COMMAND_EXPORT, Some([]), Some([])) => description.command = true,
        (wrun_abi::INITIALIZE_EXPORT, Some([]), Some([])) => description.initialize = true,
        (name, params, results) if name.starts_with(wrun_abi::TASK_EXPORT_PREFIX) => {
            if let (Some(task), Some([]), Some([Number::I32])) = (wrun_abi::task_name(name), params, results) {
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

fn number(ty: &ValType) -> Option<Number> {
    Some(match ty {
        ValType::I32 => Number::I32,
        ValType::I64 => Number::I64,
        ValType::F32 => Number::F32,
        ValType::F64 => Number::F64,
        ValType::V128 | ValType::Ref(_) => return None,
    })
}

fn type_text(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(func) => func_type(func.params(), func.results()),
        ExternType::Memory(memory) => {
            let maximum = memory.maximum().map(|pages| pages.to_string()).unwrap_or_default();
            let wide = if memory.is_64() { " 64-bit" } else { "" };
            let shared = if memory.is_shared() { " shared" } else { "" };
            format!("memory {}..{maximum}{wide}{shared}", memory.minimum())
        }
        ExternType::Global(_) => "global".into(),
        ExternType::Table(_) => "table".into(),
        ExternType::Tag(_) => "tag".into(),
    }
}
