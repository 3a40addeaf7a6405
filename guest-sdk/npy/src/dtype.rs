//! Element types.

use std::fmt;

use super::{Error, error};

/// The type of an array's elements: the kind of number, its size, and its byte order.
///
/// ```
/// use wrun_npy::{Dtype, Kind, Order};
///
/// let dtype = Dtype::parse(">f8").unwrap();
/// assert_eq!((dtype.kind(), dtype.bytes(), dtype.order()), (Kind::Float, 8, Order::Big));
/// assert_eq!(Dtype::little(Kind::Int, 4).unwrap().to_string(), "<i4");
/// assert!(Dtype::parse("<U5").is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dtype {
    kind: Kind,
    bytes: u8,
    order: Order,
}

/// A kind of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A byte that is 0 or 1 (`b1`).
    Bool,
    /// A signed integer (`i1`, `i2`, `i4`, `i8`).
    Int,
    /// An unsigned integer (`u1`, `u2`, `u4`, `u8`).
    Uint,
    /// A floating-point number (`f2`, `f4`, `f8`).
    Float,
    /// Two floating-point numbers, the real and the imaginary part (`c8`, `c16`).
    Complex,
}

/// A byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Least significant byte first, as in WebAssembly; also used for single bytes.
    Little,
    /// Most significant byte first.
    Big,
}

impl Dtype {
    /// The little-endian type of this kind and size in bytes; `None` if there is no such type.
    #[must_use]
    pub const fn little(kind: Kind, bytes: u8) -> Option<Dtype> {
        Dtype::new(kind, bytes, Order::Little)
    }

    const fn new(kind: Kind, bytes: u8, order: Order) -> Option<Dtype> {
        let exists = match kind {
            Kind::Bool => bytes == 1,
            Kind::Int | Kind::Uint => matches!(bytes, 1 | 2 | 4 | 8),
            Kind::Float => matches!(bytes, 2 | 4 | 8),
            Kind::Complex => matches!(bytes, 8 | 16),
        };
        if exists { Some(Dtype { kind, bytes, order }) } else { None }
    }

    /// Parses the `descr` of a header, such as `<f8`.
    ///
    /// # Errors
    ///
    /// If the elements are not numbers that can be read in place.
    pub fn parse(text: &str) -> Result<Dtype, Error> {
        Dtype::parse_bytes(text.as_bytes())
    }

    pub(crate) fn parse_bytes(text: &[u8]) -> Result<Dtype, Error> {
        let (order, rest) = match text {
            [b'<', rest @ ..] => (Some(Order::Little), rest),
            [b'>', rest @ ..] => (Some(Order::Big), rest),
            [b'|', rest @ ..] => (None, rest),
            _ => return unknown(text),
        };
        let Some((letter, size)) = rest.split_first() else { return unknown(text) };
        let kind = match letter {
            b'b' => Kind::Bool,
            b'i' => Kind::Int,
            b'u' => Kind::Uint,
            b'f' => Kind::Float,
            b'c' => Kind::Complex,
            b'O' => {
                return error(
                    "the array's elements are Python objects (pickled), which are not supported; save the array as numbers, for example a.astype(float)",
                );
            }
            _ => return unknown(text),
        };
        let bytes = match size {
            b"1" => 1,
            b"2" => 2,
            b"4" => 4,
            b"8" => 8,
            b"16" => 16,
            _ => return unknown(text),
        };
        match (order, bytes) {
            // A single byte has no byte order.
            (_, 1) => Dtype::little(kind, 1),
            (Some(order), _) => Dtype::new(kind, bytes, order),
            (None, _) => None,
        }
        .map_or_else(|| unknown(text), Ok)
    }

    /// The kind of number.
    pub const fn kind(self) -> Kind {
        self.kind
    }

    /// The size of an element in bytes.
    pub const fn bytes(self) -> u8 {
        self.bytes
    }

    /// The byte order.
    pub const fn order(self) -> Order {
        self.order
    }
}

fn unknown(text: &[u8]) -> Result<Dtype, Error> {
    let shown = String::from_utf8_lossy(&text[..text.len().min(20)]);
    error(format_args!(
        "the array's elements have the dtype {shown:?}, which is not supported; use bool, int, uint, float or complex of 1 to 16 bytes"
    ))
}

/// Writes the type as NumPy does, for example `<f8`.
impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            _ if self.bytes == 1 => '|',
            Order::Little => '<',
            Order::Big => '>',
        };
        let kind = match self.kind {
            Kind::Bool => 'b',
            Kind::Int => 'i',
            Kind::Uint => 'u',
            Kind::Float => 'f',
            Kind::Complex => 'c',
        };
        write!(f, "{order}{kind}{}", self.bytes)
    }
}
