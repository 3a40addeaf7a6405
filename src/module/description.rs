//! What a module offers and needs, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a module offers and needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Names of the SDK tasks: exports `wrun:task/NAME`.
    pub tasks: Vec<String>,
    /// Exports with only numeric parameters and results.
    pub scalars: Vec<Scalar>,
    /// Whether it is a WASI command (exports `_start`).
    pub command: bool,
    /// Whether it exports `_initialize` (a WASI reactor), to be called once per instance.
    pub initialize: bool,
    /// Whether it imports from `wasi_snapshot_preview1`.
    pub wasi: bool,
    /// Names imported from `wrun_v1`.
    pub wrun_imports: Vec<String>,
    /// All imports.
    pub imports: Vec<Extern>,
    /// All exports.
    pub exports: Vec<Extern>,
    /// The memory exported as `memory`.
    pub memory: Option<Memory>,
    /// How many linear memories it has.
    pub memories: u32,
    /// How many tables it has.
    pub tables: u32,
}

/// An export that can be called with numbers parsed from text.
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
    /// The words of an argument, each of which is to be a number: they are separated by white space or commas.
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

    /// The bits of the value that a word stands for, in the low half where the type has 32; `None` where the word is no
    /// number of this type. wasm's integers have no sign, so unsigned numbers are taken as well.
    ///
    /// ```
    /// use wrun::module::Number;
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

/// One import or export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extern {
    /// The import's module; empty for exports.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub module: String,
    /// Its name.
    pub name: String,
    /// Its type, as `func (i32 i32) -> (i64)`, `memory 17..`, `global`, `table`.
    pub ty: String,
}

/// A linear memory's limits, in wasm pages of 64 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Pages at start.
    pub minimum: u64,
    /// The most it may grow to by its own declaration.
    pub maximum: Option<u64>,
    /// 64-bit addresses.
    pub is_64: bool,
    /// Shared between threads (such a memory cannot hold windows).
    #[serde(default)]
    pub shared: bool,
}

impl Memory {
    /// The most pages that a 32-bit memory can have (4 GiB).
    pub const MAX_PAGES: u64 = 1 << 16;

    /// Pages that can be added to the memory as it is at start, for windows and for the guest's own allocations.
    pub fn room_pages(&self) -> u64 {
        self.maximum.unwrap_or(Self::MAX_PAGES).min(Self::MAX_PAGES).saturating_sub(self.minimum)
    }
}

/// The text of a function's type in an [`Extern`]: `func (i32 i32) -> (i64)`.
pub(crate) fn func_type<P: fmt::Display, R: fmt::Display>(
    params: impl IntoIterator<Item = P>,
    results: impl IntoIterator<Item = R>,
) -> String {
    let params = params.into_iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ");
    let results = results.into_iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ");
    format!("func ({params}) -> ({results})")
}
