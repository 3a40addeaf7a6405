//! What a task calls, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::function::{Function, Param, ValueType};

/// The entry point of a WASI command.
pub const COMMAND_EXPORT: &str = "_start";

/// What a task calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Entry {
    /// The task of this name: a module's export `wrun:task/NAME`, or a component's function `func() -> result<_, string>`.
    Task(String),
    /// An export with numeric parameters and results.
    Scalar(Scalar),
    /// The WASI command: the export `_start`.
    Command,
    /// An exported function of a component, with plain values.
    Function(Function),
}

impl Entry {
    /// The name that a job uses for it.
    pub fn name(&self) -> &str {
        match self {
            Entry::Task(name) => name,
            Entry::Scalar(function) => &function.name,
            Entry::Command => COMMAND_EXPORT,
            Entry::Function(function) => &function.name,
        }
    }
}

/// An exported function of numbers, which are parsed from text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scalar {
    /// The export's name.
    pub name: String,
    /// Parameter types, in order.
    pub params: Vec<Number>,
    /// Result types, in order.
    pub results: Vec<Number>,
}

impl Scalar {
    /// Splits an argument into words, one per number. White space and commas separate them.
    pub fn words(argument: &str) -> Vec<&str> {
        argument.split([' ', '\t', ',', '\n']).filter(|word| !word.is_empty()).collect()
    }
}

/// The signature: `sqrt(f64) -> f64`.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[Number]| numbers.iter().map(Number::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "{}({})", self.name, list(&self.params))?;
        match &*self.results {
            [] => Ok(()),
            [result] => write!(f, " -> {result}"),
            results => write!(f, " -> ({})", list(results)),
        }
    }
}

/// A numeric wasm type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Number {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
}

impl Number {
    /// The type's name: `i32`.
    pub fn name(self) -> &'static str {
        match self {
            Number::I32 => "i32",
            Number::I64 => "i64",
            Number::F32 => "f32",
            Number::F64 => "f64",
        }
    }

    /// Parses a word as a number of this type. Returns its bits, in the lower half if the type has 32, or `None` if the word is not such
    /// a number. Integers of wasm have no sign, so unsigned numbers are accepted as well.
    ///
    /// ```
    /// use wrun_ipc::entry::Number;
    ///
    /// assert_eq!(Number::I32.bits("-1"), Some(0xffff_ffff));
    /// assert_eq!(Number::I32.bits("4294967295"), Some(0xffff_ffff));
    /// assert_eq!(Number::F64.bits("1.5"), Some(1.5f64.to_bits()));
    /// assert_eq!(Number::I32.bits("1.5"), None);
    /// ```
    pub fn bits(self, word: &str) -> Option<u64> {
        match self {
            Number::I32 => {
                let signed = word.parse::<i32>().map(|number| number as u32);
                signed.or_else(|_| word.parse::<u32>()).ok().map(u64::from)
            }
            Number::I64 => word.parse::<i64>().map(|number| number as u64).or_else(|_| word.parse::<u64>()).ok(),
            Number::F32 => word.parse::<f32>().ok().map(|number| number.to_bits().into()),
            Number::F64 => word.parse::<f64>().ok().map(f64::to_bits),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
