//! The exported functions of a component that can be called by name: those of plain values.
//!
//! Types come from the binary form (wasmparser) or from precompiled code (wasmtime). Both are read here, with the same bounds.

use wasmparser::PrimitiveValType;
use wasmparser::component_types::{ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType};
use wasmparser::types::Types;
use wasmtime::component::Type;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wrun_ipc::entry::{Function, Param, ValueType};

use super::choose::{NoEntry, function_names};
use super::description::{Description, NotCallable};
use super::explain::one_line;
use crate::ipc::Setting;

/// How deep types lie within each other, at most. Descriptions are JSON, whose readers have a limit as well.
const MAX_DEPTH: u32 = 30;

/// The most types in one signature: they may be repeated, and so have far more parts than the component has bytes.
const MAX_PARTS: u32 = 10_000;

/// The most types in the signatures of all functions.
const MAX_PARTS_IN_ALL: u32 = 100_000;

/// The functions of a component.
#[derive(Default)]
pub(super) struct Functions {
    pub callable: Vec<Function>,
    pub not_callable: Vec<NotCallable>,
    parts: u32,
}

impl Functions {
    /// Those of a binary component, by its types and the names of its exports.
    pub fn of_binary<'a>(types: &Types, exports: impl IntoIterator<Item = &'a str>) -> Functions {
        let mut functions = Functions::default();
        for name in exports {
            match types.as_ref().component_item_for_export(name).map(|item| item.ty) {
                Some(ComponentEntityType::Func(id)) => functions.add_binary(types, name.to_owned(), id),
                Some(ComponentEntityType::Instance(id)) => {
                    for (function, item) in &types[id].exports {
                        if let ComponentEntityType::Func(id) = item.ty {
                            functions.add_binary(types, format!("{name}#{function}"), id);
                        }
                    }
                }
                _ => {}
            }
        }
        functions
    }

    /// Those of a compiled component.
    pub fn of_compiled(component: &wasmtime::component::Component) -> Functions {
        let (engine, ty) = (component.engine(), component.component_type());
        let mut functions = Functions::default();
        for (name, item) in ty.exports(engine) {
            match item.ty {
                ComponentItem::ComponentFunc(function) => functions.add_compiled(name.to_owned(), &function),
                ComponentItem::ComponentInstance(instance) => {
                    for (function, item) in instance.exports(engine) {
                        if let ComponentItem::ComponentFunc(ty) = item.ty {
                            functions.add_compiled(format!("{name}#{function}"), &ty);
                        }
                    }
                }
                _ => {}
            }
        }
        functions
    }

    fn add_binary(&mut self, types: &Types, name: String, id: ComponentFuncTypeId) {
        let ty = &types[id];
        let params = ty.params.iter().map(|(name, ty)| (name.as_str(), *ty));
        self.add(name, ty.async_, params, ty.result, |ty, parts| binary_type(types, *ty, MAX_DEPTH, parts));
    }

    fn add_compiled(&mut self, name: String, ty: &ComponentFunc) {
        let result = ty.results().next();
        self.add(name, ty.async_(), ty.params(), result, |ty, parts| compiled_type(ty, MAX_DEPTH, parts));
    }

    fn add<'a, T>(
        &mut self,
        name: String,
        is_async: bool,
        params: impl Iterator<Item = (&'a str, T)>,
        result: Option<T>,
        read: impl Fn(&T, &mut Parts) -> Result<ValueType, String>,
    ) {
        let mut parts = Parts { left: MAX_PARTS.min(MAX_PARTS_IN_ALL - self.parts) };
        let described = || {
            if is_async {
                return Err("is async".to_owned());
            }
            let mut list = Vec::new();
            for (param, ty) in params {
                let ty = read(&ty, &mut parts)
                    .map_err(|reason| format!("its parameter {} has {reason}", one_line(param)))?;
                list.push(Param { name: param.to_owned(), ty });
            }
            let result = result.map(|ty| read(&ty, &mut parts)).transpose();
            Ok((list, result.map_err(|reason| format!("its result has {reason}"))?))
        };
        let described = described();
        self.parts += MAX_PARTS.min(MAX_PARTS_IN_ALL - self.parts) - parts.left;
        match described {
            Ok((params, result)) => self.callable.push(Function { name, params, result }),
            Err(reason) => self.not_callable.push(NotCallable { name, reason }),
        }
    }
}

/// How many more parts a signature may have.
struct Parts {
    left: u32,
}

impl Parts {
    /// Counts parts, at this depth.
    fn count(&mut self, parts: usize, depth: u32) -> Result<(), String> {
        if depth == 0 {
            return Err(format!("a type with more than {MAX_DEPTH} levels"));
        }
        let parts = u32::try_from(parts).unwrap_or(u32::MAX);
        self.left = self.left.checked_sub(parts).ok_or("a type with too many parts")?;
        Ok(())
    }
}

fn binary_type(types: &Types, ty: ComponentValType, depth: u32, parts: &mut Parts) -> Result<ValueType, String> {
    parts.count(1, depth)?;
    let id = match ty {
        ComponentValType::Primitive(ty) => return primitive(ty),
        ComponentValType::Type(id) => id,
    };
    let mut read = |ty: &ComponentValType| binary_type(types, *ty, depth - 1, parts);
    Ok(match &types[id] {
        ComponentDefinedType::Primitive(ty) => primitive(*ty)?,
        ComponentDefinedType::Record(record) => {
            let field = |(name, ty): (&_, &_)| Ok((label(name), read(ty)?));
            ValueType::Record(record.fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        ComponentDefinedType::Variant(variant) => {
            let mut cases = Vec::new();
            for (name, case) in &variant.cases {
                parts.count(1, depth)?;
                let payload = case.ty.map(|ty| binary_type(types, ty, depth - 1, parts)).transpose()?;
                cases.push((label(name), payload));
            }
            ValueType::Variant(cases)
        }
        ComponentDefinedType::List { element, .. } => ValueType::List(read(element)?.into()),
        ComponentDefinedType::Tuple(tuple) => {
            ValueType::Tuple(tuple.types.iter().map(read).collect::<Result<_, String>>()?)
        }
        ComponentDefinedType::Flags(names) => {
            parts.count(names.len(), depth)?;
            ValueType::Flags(names.iter().map(label).collect())
        }
        ComponentDefinedType::Enum(names) => {
            parts.count(names.len(), depth)?;
            ValueType::Enum(names.iter().map(label).collect())
        }
        ComponentDefinedType::Option { ty, .. } => ValueType::Option(read(ty)?.into()),
        ComponentDefinedType::Result { ok, err, .. } => {
            let mut payload = |ty: &Option<ComponentValType>| -> Result<_, String> {
                Ok(ty.as_ref().map(&mut read).transpose()?.map(Box::new))
            };
            ValueType::Result(payload(ok)?, payload(err)?)
        }
        ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => return Err(RESOURCE.into()),
        ComponentDefinedType::Future { .. } => return Err("a future".into()),
        ComponentDefinedType::Stream { .. } => return Err("a stream".into()),
        ComponentDefinedType::Map { .. } => return Err("a map".into()),
        ComponentDefinedType::FixedLengthList { .. } => return Err("a list of fixed length".into()),
    })
}

fn label(name: &wasmparser::names::KebabString) -> String {
    name.as_str().to_owned()
}

const RESOURCE: &str = "a handle of a resource";

fn primitive(ty: PrimitiveValType) -> Result<ValueType, String> {
    Ok(match ty {
        PrimitiveValType::Bool => ValueType::Bool,
        PrimitiveValType::S8 => ValueType::S8,
        PrimitiveValType::U8 => ValueType::U8,
        PrimitiveValType::S16 => ValueType::S16,
        PrimitiveValType::U16 => ValueType::U16,
        PrimitiveValType::S32 => ValueType::S32,
        PrimitiveValType::U32 => ValueType::U32,
        PrimitiveValType::S64 => ValueType::S64,
        PrimitiveValType::U64 => ValueType::U64,
        PrimitiveValType::F32 => ValueType::F32,
        PrimitiveValType::F64 => ValueType::F64,
        PrimitiveValType::Char => ValueType::Char,
        PrimitiveValType::String => ValueType::String,
        PrimitiveValType::ErrorContext => return Err("an error context".into()),
    })
}

fn compiled_type(ty: &Type, depth: u32, parts: &mut Parts) -> Result<ValueType, String> {
    parts.count(1, depth)?;
    let mut read = |ty: Type| compiled_type(&ty, depth - 1, parts);
    Ok(match ty {
        Type::Bool => ValueType::Bool,
        Type::S8 => ValueType::S8,
        Type::U8 => ValueType::U8,
        Type::S16 => ValueType::S16,
        Type::U16 => ValueType::U16,
        Type::S32 => ValueType::S32,
        Type::U32 => ValueType::U32,
        Type::S64 => ValueType::S64,
        Type::U64 => ValueType::U64,
        Type::Float32 => ValueType::F32,
        Type::Float64 => ValueType::F64,
        Type::Char => ValueType::Char,
        Type::String => ValueType::String,
        Type::List(list) => ValueType::List(read(list.ty())?.into()),
        Type::Record(record) => {
            let field = |field: wasmtime::component::types::Field<'_>| Ok((field.name.to_owned(), read(field.ty)?));
            ValueType::Record(record.fields().map(field).collect::<Result<_, String>>()?)
        }
        Type::Tuple(tuple) => ValueType::Tuple(tuple.types().map(read).collect::<Result<_, String>>()?),
        Type::Variant(variant) => {
            let mut cases = Vec::new();
            for case in variant.cases() {
                parts.count(1, depth)?;
                let payload = case.ty.map(|ty| compiled_type(&ty, depth - 1, parts)).transpose()?;
                cases.push((case.name.to_owned(), payload));
            }
            ValueType::Variant(cases)
        }
        Type::Enum(names) => {
            parts.count(names.names().len(), depth)?;
            ValueType::Enum(names.names().map(str::to_owned).collect())
        }
        Type::Flags(names) => {
            parts.count(names.names().len(), depth)?;
            ValueType::Flags(names.names().map(str::to_owned).collect())
        }
        Type::Option(option) => ValueType::Option(read(option.ty())?.into()),
        Type::Result(result) => {
            let mut payload =
                |ty: Option<Type>| -> Result<_, String> { Ok(ty.map(&mut read).transpose()?.map(Box::new)) };
            ValueType::Result(payload(result.ok())?, payload(result.err())?)
        }
        Type::Own(_) | Type::Borrow(_) => return Err(RESOURCE.into()),
        Type::Future(_) => return Err("a future".into()),
        Type::Stream(_) => return Err("a stream".into()),
        Type::Map(_) => return Err("a map".into()),
        Type::FixedLengthList(_) => return Err("a list of fixed length".into()),
        Type::ErrorContext => return Err("an error context".into()),
    })
}

impl Description {
    /// The function of a component that has this name: in full, or without version or interface if only one fits. As in
    /// `wasmtime run --invoke`, an interface's function may also be written `acme:text/words.greet@1.0.0`.
    ///
    /// # Errors
    ///
    /// Returns an error that lists them if several fit.
    pub(super) fn function(&self, name: &str) -> Result<Option<&Function>, NoEntry> {
        let exact = self.functions.iter().find(|function| function.name == name);
        if exact.is_some() {
            return Ok(exact);
        }
        let fit: Vec<&Function> = self.functions.iter().filter(|function| fits(&function.name, name)).collect();
        match &*fit {
            [] => Ok(None),
            [function] => Ok(Some(function)),
            functions => Err(NoEntry {
                problem: format!("has several functions \"{}\": {}", one_line(name), function_names(functions)),
                setting: Some(Setting::Call),
            }),
        }
    }

    /// Why the function of this name cannot be called, if there is one. Continues a sentence that begins with the component.
    pub(super) fn not_callable(&self, name: &str) -> Option<String> {
        let mut functions = self.not_callable.iter();
        let found = functions.find(|function| function.name == name || fits(&function.name, name))?;
        let full = one_line(&found.name);
        Some(format!("cannot be called by \"{full}\": {} (only plain values can be written as text)", found.reason))
    }
}

/// Whether this short name is one of the function with this full name.
fn fits(full: &str, short: &str) -> bool {
    let Some((interface, function)) = full.rsplit_once('#') else { return false };
    let (path, version) = interface.split_once('@').unwrap_or((interface, ""));
    if short == function {
        return true;
    }
    if let Some((place, name)) = short.rsplit_once('#') {
        return name == function && (place == interface || place == path);
    }
    // The notation of WAVE.
    let (place, wanted) = short.split_once('@').unwrap_or((short, version));
    wanted == version && place.strip_suffix(function).and_then(|place| place.strip_suffix('.')) == Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::component;

    /// A function of every type, a record that is used again, and functions that cannot be called.
    const COMPONENT: &str = r#"(component
        (core module $m
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "f") unreachable)
            (func (export "g") (param i32)))
        (core instance $m (instantiate $m))
        (type $color' (enum "red" "green"))
        (export $color "color" (type $color'))
        (type $point' (record (field "x" s32) (field "y" (option f64)) (field "c" $color)))
        (export $point "point" (type $point'))
        (type $shape' (variant (case "dot" $point) (case "nothing")))
        (export $shape "shape" (type $shape'))
        (type $sides' (flags "left" "right"))
        (export $sides "sides" (type $sides'))
        (type $r' (resource (rep i32)))
        (export $r "r" (type $r'))
        (func $plain (canon lift (core func $m "f")))
        (func $handle (param "of" (borrow $r)) (canon lift (core func $m "g")))
        (func $all (param "a" bool) (param "b" (tuple u8 s8 u16 s16)) (param "c" (list (result string (error char))))
            (param "d" $shape) (param "e" $sides) (param "f" (result)) (param "g" (list $point))
            (param "h" (tuple u32 s64 u64 f32))
            (canon lift (core func $m "g") (memory (core memory $m "memory")) (realloc (core func $m "realloc"))))
        (export "all" (func $all))
        (export "plain" (func $plain))
        (export "handle" (func $handle))
        (instance $words (export "plain" (func $plain)))
        (export "acme:text/words@1.0.0" (instance $words))
        (export "acme:text/letters@1.0.0" (instance $words)))"#;

    #[test]
    fn functions_are_described_as_wasmtime_describes_them() {
        let bytes = wat::parse_str(COMPONENT).expect("a component");
        let ours = component::BinaryComponent::read(&bytes, crate::module::binary::Threads::One)
            .expect("a valid component")
            .describe();
        let engine = wasmtime::Engine::default();
        let theirs = wasmtime::component::Component::new(&engine, &bytes).expect("a component");
        let theirs = component::describe(&theirs);
        assert_eq!(ours.functions, theirs.functions);
        assert_eq!(ours.not_callable, theirs.not_callable);
        let names: Vec<&str> = ours.functions.iter().map(|function| &*function.name).collect();
        assert_eq!(names, ["all", "plain", "acme:text/words@1.0.0#plain", "acme:text/letters@1.0.0#plain"]);
        assert_eq!(ours.not_callable[0].name, "handle");
    }

    #[test]
    fn a_short_name_fits_if_there_is_one() {
        let full = "acme:text/words@1.0.0#greet";
        for short in [
            "greet",
            "acme:text/words#greet",
            "acme:text/words@1.0.0#greet",
            "acme:text/words.greet",
            "acme:text/words.greet@1.0.0",
        ] {
            assert!(fits(full, short), "{short}");
        }
        for other in ["eet", "words#greet", "acme:text/words@2.0.0#greet", "acme:text/words.greet@2.0.0", ".greet", ""]
        {
            assert!(!fits(full, other), "{other}");
        }
    }
}
