//! The headers of NumPy's `.npy` files, versions 1.0, 2.0 and 3.0, as `numpy.lib.format` describes them.
//!
//! Host and guests use this crate, so that both read the same array. The bytes may be anything: a header is at most
//! [`MAX_LEN`] bytes long, nothing is read twice, nothing recurses, and all products are checked. What is understood are arrays
//! of numbers in C order; for everything else the error says what to do about it.
//!
//! (The crates that there are read any Python literal into a tree, take the length that a header claims for it before they
//! look for its bytes, and quote it whole in errors.)
//!
//! ```
//! use wrun_npy::{Dtype, Header};
//!
//! let bytes = Header::encode(Dtype::parse("<f8").unwrap(), &[3, 2]);
//! let header = Header::parse(&bytes).unwrap();
//! assert_eq!((header.shape(), header.row_bytes(), header.len()), (&[3, 2][..], Some(16), 128));
//! ```

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod dtype;
mod literal;

use std::fmt;

pub use dtype::{Dtype, Kind, Order};
use literal::{Literal, Value};

/// The most bytes that a header may have, with everything before the data. That of an array of numbers has 128.
pub const MAX_LEN: usize = 64 << 10;

/// What a file begins with; the version's two bytes follow.
pub const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The most axes; NumPy 2 has 64.
const MAX_AXES: usize = 64;

/// The bytes of which the data begins at a multiple, in files that NumPy or this crate writes.
const ALIGN: usize = 64;

/// Why bytes are no header of an array that can be read; says what to do.
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

/// What a `.npy` file says of its data: type, shape, and where it begins. The data is in C order: the last axis is that of neighbours.
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
    /// Where there is none, or it is one of an array that cannot be read in place: in Fortran order, or of objects, texts,
    /// times or structures.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let Some(rest) = file.strip_prefix(MAGIC) else {
            return error(no_magic(file));
        };
        let (text, len) = match *rest {
            [1, 0, a, b, ref rest @ ..] => (rest, usize::from(u16::from_le_bytes([a, b]))),
            [2 | 3, 0, a, b, c, d, ref rest @ ..] => (rest, u32::from_le_bytes([a, b, c, d]) as usize),
            [1..=3, 0, ..] | [] | [_] => return error("the file ends in its .npy header"),
            [major, minor, ..] => {
                return error(format_args!("version {major}.{minor} of .npy is not known; these are 1.0, 2.0 and 3.0"));
            }
        };
        let before = file.len() - text.len();
        if len > MAX_LEN - before {
            return error(format_args!(
                "the .npy header says that it has {len} bytes; that of an array of numbers has less than {MAX_LEN}"
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

    /// A header of version 1.0, as NumPy writes it, behind which data is aligned to 64 bytes.
    ///
    /// # Panics
    ///
    /// Where there are more than 64 axes.
    pub fn encode(dtype: Dtype, shape: &[u64]) -> Vec<u8> {
        assert!(shape.len() <= MAX_AXES, "an array has at most {MAX_AXES} axes");
        let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
        // A tuple of one has a comma at its end, and others have none.
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

    /// The lengths of the axes; none for a single number.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Where the data begins: the bytes of the header and everything before it.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bytes of all data.
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// How many rows there are, which is the length of axis 0; `None` for a single number.
    pub fn rows(&self) -> Option<u64> {
        self.shape.first().copied()
    }

    /// The bytes of one row; `None` for a single number.
    pub fn row_bytes(&self) -> Option<u64> {
        // A product of fewer factors than that of all, unless one of the others is 0.
        product(self.dtype, self.shape.get(1..)?)
    }
}

/// The bytes of an array; `None` where that is no number.
fn product(dtype: Dtype, shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(u64::from(dtype.bytes()), |bytes, axis| bytes.checked_mul(*axis))
}

fn no_magic(file: &[u8]) -> &'static str {
    match file {
        [] => "the file is empty, and no .npy file",
        [b'P', b'K', ..] => "the file is a zip archive, such as an .npz; unzip it, and name the .npy files in it",
        [0x80, 2..=5, ..] => "the file is a pickle; save the array with numpy.save",
        _ => "the file does not begin as a .npy file does; save the array with numpy.save",
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
                    "the array's elements are structures, which are not supported; save each field as an array, such as a['x']",
                );
            }
            (b"fortran_order", Value::Bool(bool)) => fortran.replace(bool).is_none(),
            (b"shape", Value::Tuple(axes)) => shape.replace(axes).is_none(),
            _ => false,
        };
        if known { Ok(()) } else { error("the .npy header is not one that NumPy writes") }
    })?;
    match (dtype, fortran, shape) {
        (Some(dtype), Some(false), Some(shape)) => Ok((dtype, shape)),
        // With one axis (or one that is longer than 1) there is no difference.
        (Some(dtype), Some(true), Some(shape)) if shape.iter().filter(|axis| **axis > 1).count() <= 1 => {
            Ok((dtype, shape))
        }
        (Some(_), Some(true), Some(_)) => {
            error("the array is in Fortran order, which is not supported; save numpy.ascontiguousarray(a)")
        }
        _ => error("the .npy header lacks one of descr, fortran_order and shape"),
    }
}

#[cfg(test)]
mod tests;
