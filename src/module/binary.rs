//! Reads a module in the binary format: what it declares, and whether it is valid.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use wasmparser::{
    AbstractHeapType, CompositeInnerType, Export, FuncToValidate, FuncValidatorAllocations, FunctionBody, HeapType,
    Parser, Payload, UnpackedIndex, ValType, ValidPayload, Validator, ValidatorResources, WasmFeatures, types,
};
use wrun_ipc::entry::Number;

use super::describe::{Declarations, Import, ItemType, ReferenceType, ValueType};
use super::description::Memory;
use super::proposals;
use super::resources::Resources;

/// Bodies of functions that are still to be checked.
pub(super) type Bodies<'a> = Vec<(FuncToValidate<ValidatorResources>, FunctionBody<'a>)>;

/// A module whose declarations are valid.
pub(super) struct BinaryModule<'a> {
    bodies: Bodies<'a>,
    types: types::Types,
    imports: Vec<wasmparser::Import<'a>>,
    exports: Vec<Export<'a>>,
}

/// Whether work may be spread over several threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    One,
    /// Those of rayon's global pool.
    Many,
}

impl<'a> BinaryModule<'a> {
    /// Reads a module that may use these features. All of it is checked except the bodies of its functions.
    ///
    /// # Errors
    ///
    /// Returns the first error of what it checks.
    pub fn read(bytes: &'a [u8], features: WasmFeatures) -> wasmparser::Result<BinaryModule<'a>> {
        let mut validator = Validator::new_with_features(features);
        let mut parser = Parser::new(0);
        parser.set_features(features);
        let (mut bodies, mut imports, mut exports) = (Vec::new(), Vec::new(), Vec::new());
        for payload in parser.parse_all(bytes) {
            let payload = payload?;
            match validator.payload(&payload)? {
                ValidPayload::Func(function, body) => bodies.push((function, body)),
                ValidPayload::End(types) => return Ok(BinaryModule { bodies, types, imports, exports }),
                _ => {}
            }
            match payload {
                Payload::ImportSection(section) => {
                    imports = section.into_imports().collect::<wasmparser::Result<_>>()?;
                }
                Payload::ExportSection(section) => exports = section.into_iter().collect::<wasmparser::Result<_>>()?,
                _ => {}
            }
        }
        unreachable!("a module without an end is an error")
    }

    /// Checks the bodies of all functions.
    ///
    /// # Errors
    ///
    /// Returns the first error.
    pub fn check_bodies(self, threads: Threads) -> wasmparser::Result<()> {
        check_bodies(self.bodies, threads)
    }

    /// What the module declares.
    pub fn declarations(&self) -> Declarations {
        let types = self.types.as_ref();
        let imports = self.imports.iter().filter_map(|import| {
            let ty = item_type(types, types.entity_type_from_import(import)?);
            Some(Import { module: import.module.to_owned(), name: import.name.to_owned(), ty })
        });
        let exports = self.exports.iter().filter_map(|export| {
            Some((export.name.to_owned(), item_type(types, types.entity_type_from_export(export)?)))
        });
        Declarations { imports: imports.collect(), exports: exports.collect(), resources: self.resources() }
    }

    /// The memories and tables that it defines. These follow those that it imports.
    fn resources(&self) -> Resources {
        let imported = |is_one: fn(&wasmparser::TypeRef) -> bool| {
            self.imports.iter().filter(|import| is_one(&import.ty)).count() as u32
        };
        let types = self.types.as_ref();
        let memories = imported(|ty| matches!(ty, wasmparser::TypeRef::Memory(_)))..types.memory_count();
        let tables = imported(|ty| matches!(ty, wasmparser::TypeRef::Table(_)))..types.table_count();
        Resources {
            memories: memories.len() as u32,
            tables: tables.len() as u32,
            memory_pages: memories.map(|index| types.memory_at(index).initial).max().unwrap_or(0),
            table_elements: tables.map(|index| types.table_at(index).initial).max().unwrap_or(0),
            large_memories: (0..types.memory_count()).any(|index| types.memory_at(index).memory64),
        }
    }

    /// Whether it defines or imports a memory that threads share.
    pub fn shares_memory(&self) -> bool {
        let types = self.types.as_ref();
        (0..types.memory_count()).any(|index| types.memory_at(index).shared)
    }
}

/// Reads a module that wrun runs, as far as its declarations show.
///
/// # Errors
///
/// Returns why wrun does not run it. The text continues a sentence that begins with the module.
pub(super) fn read(bytes: &[u8], threads: Threads) -> Result<BinaryModule<'_>, String> {
    let module =
        BinaryModule::read(bytes, proposals::SUPPORTED).map_err(|error| proposals::explain(bytes, &error, threads))?;
    match module.shares_memory() {
        true => Err(proposals::shared_memory()),
        false => Ok(module),
    }
}

/// Checks all of a module.
///
/// # Errors
///
/// Returns the first error.
pub(super) fn check(bytes: &[u8], features: WasmFeatures, threads: Threads) -> wasmparser::Result<()> {
    BinaryModule::read(bytes, features)?.check_bodies(threads)
}

/// Checks bodies of functions.
///
/// # Errors
///
/// Returns the first error.
pub(super) fn check_bodies(bodies: Bodies<'_>, threads: Threads) -> wasmparser::Result<()> {
    let check = |allocations: &mut FuncValidatorAllocations,
                 (function, body): (FuncToValidate<ValidatorResources>, FunctionBody<'_>)| {
        let mut validator = function.into_validator(std::mem::take(allocations));
        let checked = validator.validate(&body);
        *allocations = validator.into_allocations();
        checked.err()
    };
    let error = match threads {
        Threads::One => {
            let mut allocations = FuncValidatorAllocations::default();
            bodies.into_iter().find_map(|body| check(&mut allocations, body))
        }
        Threads::Many => {
            let errors = bodies.into_par_iter().with_min_len(64).map_init(FuncValidatorAllocations::default, check);
            errors.find_map_first(|error| error)
        }
    };
    error.map_or(Ok(()), Err)
}

fn item_type(types: types::TypesRef<'_>, ty: types::EntityType) -> ItemType {
    match ty {
        types::EntityType::Func(id) | types::EntityType::FuncExact(id) => {
            let func = types[id].unwrap_func();
            let values = |list: &[ValType]| list.iter().map(|ty| value_type(types, *ty)).collect();
            ItemType::Func { params: values(func.params()), results: values(func.results()) }
        }
        types::EntityType::Memory(memory) => ItemType::Memory(Memory {
            minimum: memory.initial,
            maximum: memory.maximum,
            is_64: memory.memory64,
            shared: memory.shared,
        }),
        types::EntityType::Table(_) => ItemType::Table,
        types::EntityType::Global(_) => ItemType::Global,
        types::EntityType::Tag(_) => ItemType::Tag,
    }
}

fn value_type(types: types::TypesRef<'_>, ty: ValType) -> ValueType {
    match ty {
        ValType::I32 => ValueType::Number(Number::I32),
        ValType::I64 => ValueType::Number(Number::I64),
        ValType::F32 => ValueType::Number(Number::F32),
        ValType::F64 => ValueType::Number(Number::F64),
        ValType::V128 => ValueType::Vector,
        ValType::Ref(reference) => ValueType::Reference(ReferenceType {
            is_nullable: reference.is_nullable(),
            heap_type: match reference.heap_type() {
                HeapType::Abstract { ty, .. } => abstract_type(ty),
                HeapType::Concrete(index) | HeapType::Exact(index) => match index {
                    UnpackedIndex::Id(id) => match types[id].composite_type.inner {
                        CompositeInnerType::Func(_) => "func",
                        CompositeInnerType::Array(_) => "array",
                        CompositeInnerType::Struct(_) => "struct",
                        CompositeInnerType::Cont(_) => "cont",
                    },
                    UnpackedIndex::Module(_) | UnpackedIndex::RecGroup(_) => "type",
                },
            },
        }),
    }
}

fn abstract_type(ty: AbstractHeapType) -> &'static str {
    match ty {
        AbstractHeapType::Func => "func",
        AbstractHeapType::Extern => "extern",
        AbstractHeapType::Any => "any",
        AbstractHeapType::None => "none",
        AbstractHeapType::NoExtern => "noextern",
        AbstractHeapType::NoFunc => "nofunc",
        AbstractHeapType::Eq => "eq",
        AbstractHeapType::Struct => "struct",
        AbstractHeapType::Array => "array",
        AbstractHeapType::I31 => "i31",
        AbstractHeapType::Exn => "exn",
        AbstractHeapType::NoExn => "noexn",
        AbstractHeapType::Cont => "cont",
        AbstractHeapType::NoCont => "nocont",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::engine::{self, CodeSettings, Fuel};

    /// All kinds of imports and exports, and all kinds of types.
    const MODULE: &str = r#"(module
        (import "wrun_v1" "arg_len" (func $arg_len (result i32)))
        (import "wrun_v1" "arg_len" (func (result i32)))
        (import "env" "memory" (memory 1 5))
        (import "env" "table" (table 1 funcref))
        (import "env" "global" (global (mut externref)))
        (import "env" "tag" (tag (param i32)))
        (type $f (func (param i32) (result f32)))
        (type $a (array (mut i8)))
        (type $s (struct (field (ref null $f))))
        (rec (type $r1 (struct (field (ref null $r2)))) (type $r2 (struct (field (ref null $r1)))))
        (memory (export "memory") 17)
        (memory $wide (export "wide") i64 3 10)
        (table (export "table") 200 300 externref)
        (table 4 4 (ref null $f))
        (global (export "global") v128 (v128.const i64x2 0 0))
        (tag (export "tag") (param i64))
        (func (export "again") (export "wrun:task/two") (result i32) (i32.const 0))
        (func (export "numbers") (param i32 i64 f32 f64) (result f64 i32) (f64.const 1) (i32.const 2))
        (func (export "_start"))
        (func (export "_initialize"))
        (func (export "__hidden"))
        (func (export "references") (param externref funcref exnref anyref eqref i31ref structref arrayref))
        (func (export "empty") (param nullref nullfuncref nullexternref (ref any) (ref func)))
        (func (export "own") (param (ref $f) (ref null $a) (ref $s) (ref null $r1) v128)))"#;

    #[test]
    fn a_module_is_described_as_wasmtime_describes_it() {
        let engine = wasmtime::Engine::new(&engine::config(CodeSettings::usual(Fuel::NotCounted)));
        let wasmtime = wasmtime::Module::new(&engine.unwrap(), MODULE).unwrap();
        let bytes = wat::parse_str(MODULE).unwrap();
        let ours = read(&bytes, Threads::One).unwrap().declarations();
        let theirs = Declarations::of_module(&wasmtime, true);
        assert_eq!(ours.resources, theirs.resources);
        let ours = ours.describe();
        assert_eq!(ours, theirs.describe());
        assert_eq!((ours.imports.len(), ours.exports.len(), ours.memories, ours.tables), (6, 14, 2, 2));
    }

    #[test]
    fn the_first_error_is_found_with_any_number_of_threads() {
        let bad = "(func (result i32) (i64.const 1))";
        let good = "(func (result i32) (i32.const 1))".repeat(1000);
        let bytes = wat::parse_str(format!("(module {good} {bad} {good} {bad})")).unwrap();
        let errors = [Threads::One, Threads::Many]
            .map(|threads| check(&bytes, proposals::SUPPORTED, threads).expect_err("an invalid module").offset());
        assert_eq!(errors[0], errors[1]);
    }
}
