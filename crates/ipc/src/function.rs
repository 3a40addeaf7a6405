//! Functions of components: their names and types, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An exported function of a component. Its arguments and its result are plain values, which travel as WAVE text
/// (<https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave>).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The export's name: `greet`, or of an exported interface `acme:text/words@1.0.0#greet`.
    pub name: String,
    /// The parameters, in order.
    pub params: Vec<Param>,
    /// The type of what it returns, if it returns something.
    pub result: Option<ValueType>,
}

/// A parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: ValueType,
}

/// A type of plain values: all types of the component model but handles of resources, streams and futures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they have the names of the component model")]
pub enum ValueType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(Box<ValueType>),
    /// Fields with their names.
    Record(Vec<(String, ValueType)>),
    Tuple(Vec<ValueType>),
    /// Cases with their names, and their payloads if they have one.
    Variant(Vec<(String, Option<ValueType>)>),
    Enum(Vec<String>),
    Option(Box<ValueType>),
    /// The payloads of `ok` and of `err`.
    Result(Option<Box<ValueType>>, Option<Box<ValueType>>),
    Flags(Vec<String>),
}

impl Function {
    /// The interface that exports it, if one does, and its name there.
    ///
    /// ```
    /// use wrun_ipc::entry::Function;
    ///
    /// let function = |name: &str| Function { name: name.to_owned(), params: vec![], result: None };
    /// assert_eq!(function("greet").place(), (None, "greet"));
    /// assert_eq!(function("acme:text/words@1.0.0#greet").place(), (Some("acme:text/words@1.0.0"), "greet"));
    /// ```
    pub fn place(&self) -> (Option<&str>, &str) {
        match self.name.rsplit_once('#') {
            Some((interface, name)) => (Some(interface), name),
            None => (None, &self.name),
        }
    }
}

/// The signature: `greet(name: string, times: u32) -> list<string>`.
impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        list(f, &self.params, |f, Param { name, ty }| write!(f, "{name}: {ty}"))?;
        f.write_str(")")?;
        match &self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

/// The type in the notation of WIT, with the contents of types that have a name there.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            ValueType::Bool => "bool",
            ValueType::S8 => "s8",
            ValueType::U8 => "u8",
            ValueType::S16 => "s16",
            ValueType::U16 => "u16",
            ValueType::S32 => "s32",
            ValueType::U32 => "u32",
            ValueType::S64 => "s64",
            ValueType::U64 => "u64",
            ValueType::F32 => "f32",
            ValueType::F64 => "f64",
            ValueType::Char => "char",
            ValueType::String => "string",
            ValueType::List(element) => return write!(f, "list<{element}>"),
            ValueType::Option(some) => return write!(f, "option<{some}>"),
            ValueType::Result(None, None) => "result",
            ValueType::Result(Some(ok), None) => return write!(f, "result<{ok}>"),
            ValueType::Result(None, Some(err)) => return write!(f, "result<_, {err}>"),
            ValueType::Result(Some(ok), Some(err)) => return write!(f, "result<{ok}, {err}>"),
            ValueType::Tuple(types) => {
                f.write_str("tuple<")?;
                list(f, types, |f, ty| ty.fmt(f))?;
                return f.write_str(">");
            }
            ValueType::Record(fields) => {
                return braces(f, "record", fields, |f, (name, ty)| write!(f, "{name}: {ty}"));
            }
            ValueType::Variant(cases) => {
                return braces(f, "variant", cases, |f, (name, payload)| match payload {
                    Some(ty) => write!(f, "{name}({ty})"),
                    None => f.write_str(name),
                });
            }
            ValueType::Enum(names) => return braces(f, "enum", names, |f, name| f.write_str(name)),
            ValueType::Flags(names) => return braces(f, "flags", names, |f, name| f.write_str(name)),
        };
        f.pad(name)
    }
}

fn braces<T>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    items: &[T],
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{what} {{ ")?;
    list(f, items, show)?;
    f.write_str(" }")
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    show: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(at, item)| {
        if at > 0 {
            f.write_str(", ")?;
        }
        show(f, item)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_reads_as_wit() {
        let boxed = |ty| Some(Box::new(ty));
        let record = ValueType::Record(vec![
            ("name".into(), ValueType::String),
            ("tags".into(), ValueType::List(Box::new(ValueType::Enum(vec!["a".into(), "b".into()])))),
        ]);
        let variant = ValueType::Variant(vec![("one".into(), Some(ValueType::U8)), ("none".into(), None)]);
        let function = Function {
            name: "f".into(),
            params: vec![
                Param { name: "r".into(), ty: record },
                Param { name: "v".into(), ty: ValueType::Option(Box::new(variant)) },
            ],
            result: Some(ValueType::Result(
                boxed(ValueType::Tuple(vec![ValueType::Char, ValueType::Bool])),
                boxed(ValueType::Flags(vec!["x".into()])),
            )),
        };
        assert_eq!(
            function.to_string(),
            "f(r: record { name: string, tags: list<enum { a, b }> }, v: option<variant { one(u8), none }>) \
             -> result<tuple<char, bool>, flags { x }>"
        );
        let function = Function { name: "g".into(), params: vec![], result: None };
        assert_eq!(function.to_string(), "g()");
        assert_eq!(ValueType::Result(None, boxed(ValueType::S64)).to_string(), "result<_, s64>");
    }
}
