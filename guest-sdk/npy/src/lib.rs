//! Reads and writes the headers of NumPy's `.npy` files, versions 1.0, 2.0 and 3.0 (specification: `numpy.lib.format`).
//!
//! ```
//! use wrun_npy::{Dtype, Header};
//!
//! let file = [Header::encode(Dtype::parse("<f8").unwrap(), &[3, 2]), vec![0; 48]].concat();
//!
//! let header = Header::parse(&file).unwrap();
//! assert_eq!((header.shape(), header.rows(), header.row_bytes()), (&[3, 2][..], Some(3), Some(16)));
//! let data = &file[header.len()..];
//! assert_eq!(data.len() as u64, header.data_bytes());
//! ```
//!
//! `wrun` and its tasks both use this crate, so they read the same array. Arrays of numbers in C order are supported; for
//! anything else, the error says what to do.
//!
//! The input is not trusted: a header is at most [`MAX_LEN`] bytes long, nothing is read twice, nothing recurses, and all
//! products are checked. (Other crates parse any Python literal into a tree, allocate the length that a header claims
//! before they look for its bytes, and quote the whole header in errors.)

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod dtype;
mod literal;

use std::fmt;

pub use dtype::{Dtype, Kind, Order};
use literal::{Literal, Value};

/// The maximum length of a header in bytes, including everything before the data. An array of numbers needs 128.
pub const MAX_LEN: usize = 64 << 10;

/// The magic bytes at the start of a file; the two bytes of the version follow.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The maximum number of axes, as in NumPy 2.
const MAX_AXES: usize = 64;

/// The alignment in bytes of the data's start, in files that NumPy or this crate writes.
const ALIGN: usize = 64;

/// The error for bytes that are not the header of a supported array; its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

fn error<T>(message: impl fmt::Display) -> Result<T, Error> {
    Err(Error(message.to_string()))
}

/// The header of a `.npy` file: the type, shape and start of its data.
///
/// The data is in C order: neighbours along the last axis are adjacent.
///
/// ```
/// use wrun_npy::{Dtype, Header};
///
/// let header = Header::encode(Dtype::parse("<i2").unwrap(), &[5]);
/// let header = Header::parse(&header).unwrap();
/// assert_eq!((header.dtype().to_string().as_str(), header.data_bytes(), header.len()), ("<i2", 10, 128));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    dtype: Dtype,
    shape: Vec<u64>,
    len: usize,
    data_bytes: u64,
}

impl Header {
    /// Reads the header that `file` begins with; the file's first [`MAX_LEN`] bytes are enough.
    ///
    /// # Errors
    ///
    /// If there is no header, or the array cannot be read in place: it is in Fortran order, or its elements are objects,
    /// text, times or structures.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let Some(rest) = file.strip_prefix(MAGIC) else {
            return error(no_magic(file));
        };
        let (text, len) = match *rest {
            [1, 0, a, b, ref rest @ ..] => (rest, usize::from(u16::from_le_bytes([a, b]))),
            [2 | 3, 0, a, b, c, d, ref rest @ ..] => (rest, u32::from_le_bytes([a, b, c, d]) as usize),
            [1..=3, 0, ..] | [] | [_] => return error("the file ends in its .npy header"),
            [major, minor, ..] => {
                return error(format_args!("version {major}.{minor} of .npy is not supported; use 1.0, 2.0 or 3.0"));
            }
        };
        let before = file.len() - text.len();
        if len > MAX_LEN - before {
            return error(format_args!(
                "the .npy header claims to have {len} bytes; that of an array of numbers has fewer than {MAX_LEN}"
            ));
        }
        let Some(text) = text.get(..len) else {
            return error("the file ends in its .npy header");
        };
        let (dtype, shape) = fields(text)?;
        let Some(data_bytes) = product(dtype, &shape) else {
            return error("the .npy header has a shape of more bytes than 64 bits can count");
        };
        Ok(Header { dtype, shape, len: before + len, data_bytes })
    }

    /// A header of version 1.0 as NumPy writes it, padded so that the data is aligned to 64 bytes.
    ///
    /// # Panics
    ///
    /// If there are more than 64 axes.
    #[must_use]
    pub fn encode(dtype: Dtype, shape: &[u64]) -> Vec<u8> {
        assert!(shape.len() <= MAX_AXES, "an array has at most {MAX_AXES} axes");
        let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
        // A tuple of one element ends with a comma, longer ones do not.
        let axes = if shape.len() == 1 { axes.trim_end() } else { axes.trim_end_matches(", ") };
        let mut text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({axes}), }}");
        let before = MAGIC.len() + 4;
        let len = (before + text.len() + 1).next_multiple_of(ALIGN) - before;
        text.extend(std::iter::repeat_n(' ', len - 1 - text.len()));
        text.push('\n');
        let len = u16::try_from(len).expect("64 numbers have less than 64 KiB of digits");
        [&MAGIC[..], &[1, 0], &len.to_le_bytes(), text.as_bytes()].concat()
    }

    /// The elements' type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The lengths of the axes; empty for a single number.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The offset of the data in bytes: the length of the header and everything before it.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The size of the data in bytes.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// The number of rows, which is the length of axis 0; `None` for a single number.
    pub fn rows(&self) -> Option<u64> {
        self.shape.first().copied()
    }

    /// The size of one row in bytes; `None` for a single number, or if it does not fit into 64 bits.
    pub fn row_bytes(&self) -> Option<u64> {
        // `parse` checked the product of all axes; this one can still overflow if axis 0 is 0.
        product(self.dtype, self.shape.get(1..)?)
    }
}

/// The size of an array in bytes; `None` if it does not fit into 64 bits.
fn product(dtype: Dtype, shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(u64::from(dtype.bytes()), |bytes, axis| bytes.checked_mul(*axis))
}

fn no_magic(file: &[u8]) -> &'static str {
    match file {
        [] => "the file is empty; save the array with numpy.save",
        [b'P', b'K', ..] => "the file is a zip archive, such as an .npz; unzip it and give the .npy files in it",
        [0x80, 2..=5, ..] => "the file is a pickle; save the array with numpy.save",
        _ => "the file does not start like a .npy file; save the array with numpy.save",
    }
}

/// The three entries of the header's dictionary.
fn fields(text: &[u8]) -> Result<(Dtype, Vec<u64>), Error> {
    let (mut dtype, mut fortran, mut shape) = (None, None, None);
    let mut literal = Literal::new(text);
    literal.dictionary(|key, value| {
        let known = match (key, value) {
            (b"descr", Value::Text(text)) => dtype.replace(Dtype::parse_bytes(text)?).is_none(),
            (b"descr", Value::List) => {
                return error(
                    "the array's elements are structures, which are not supported; save each field as an array, for example a['x']",
                );
            }
            (b"fortran_order", Value::Bool(bool)) => fortran.replace(bool).is_none(),
            (b"shape", Value::Tuple(axes)) => shape.replace(axes).is_none(),
            _ => false,
        };
        if known { Ok(()) } else { error("the .npy header is not in the form that NumPy writes") }
    })?;
    match (dtype, fortran, shape) {
        (Some(dtype), Some(false), Some(shape)) => Ok((dtype, shape)),
        // With at most one axis longer than 1, both orders are the same.
        (Some(dtype), Some(true), Some(shape)) if shape.iter().filter(|axis| **axis > 1).count() <= 1 => {
            Ok((dtype, shape))
        }
        (Some(_), Some(true), Some(_)) => {
            error("the array is in Fortran order, which is not supported; save numpy.ascontiguousarray(a)")
        }
        _ => error("the .npy header lacks one of descr, fortran_order and shape"),
    }
}

/// Compiles and runs the code in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct ReadmeExamples;

#[cfg(test)]
mod tests;
