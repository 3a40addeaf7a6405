//! Types of elements.

use std::fmt;

use super::{Error, error};

/// The type of an array's elements: a kind of number, its bytes, and their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Dtype {
    kind: Kind,
    bytes: u8,
    order: Order,
}

/// A kind of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A byte that is 0 or 1 (`b1`).
    Bool,
    /// A signed integer (`i1`, `i2`, `i4`, `i8`).
    Int,
    /// An unsigned integer (`u1`, `u2`, `u4`, `u8`).
    Uint,
    /// A floating-point number (`f2`, `f4`, `f8`).
    Float,
    /// Two floating-point numbers, real and imaginary part (`c8`, `c16`).
    Complex,
}

/// The order of a number's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The lowest first, as WebAssembly has them; also that of single bytes.
    Little,
    /// The highest first.
    Big,
}

impl Dtype {
    /// A little-endian type; `None` where there is none of that kind with so many bytes.
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

    /// Reads what a header says, such as `<f8`.
    ///
    /// # Errors
    ///
    /// Where these are not numbers that can be read in place.
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
                    "the array's elements are Python objects (pickled), which are not supported; save it as numbers, such as a.astype(float)",
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
            // The order of a single byte's bytes is none.
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

    /// The bytes of an element.
    pub const fn bytes(self) -> u8 {
        self.bytes
    }

    /// The order of an element's bytes.
    pub const fn order(self) -> Order {
        self.order
    }
}

fn unknown(text: &[u8]) -> Result<Dtype, Error> {
    let shown = String::from_utf8_lossy(&text[..text.len().min(20)]);
    error(format_args!(
        "the array's elements have the dtype {shown:?}, which is not supported; these are: bool, int, uint, float and complex of 1 to 16 bytes"
    ))
}

/// As NumPy writes it.
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
