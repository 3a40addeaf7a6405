//! Arrays as results: `.npy` files.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use wrun_npy::Header;

use crate::raw::pod;
use crate::{Element, Error, IntoOutput, Output, OutputBuffer};

/// An array as a task's whole result: a `.npy` file of version 1.0, in C order, with its data at a multiple of 64 bytes.
///
/// ```
/// # use wrun_guest::{Error, Npy, TestTask};
/// #[wrun_guest::task]
/// fn identity(size: usize) -> Result<Npy<'static, f32>, Error> {
///     let elements = (0..size * size).map(|n| if n % (size + 1) == 0 { 1.0 } else { 0.0 }).collect();
///     Npy::from_vec(&[size, size], elements)
/// }
///
/// let file = TestTask::new().arg("2").run(|task| identity(task.extract()?)).unwrap();
/// assert!(file.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"));
/// assert_eq!(file.len(), 128 + 4 * 4);
/// ```
#[derive(Clone, Debug)]
pub struct Npy<'a, T: Element> {
    header: Vec<u8>,
    elements: Cow<'a, [T]>,
}

impl<'a, T: Element> Npy<'a, T> {
    /// An array with this shape and these elements in C order.
    ///
    /// # Errors
    ///
    /// If the shape does not have as many elements.
    pub fn from_slice(shape: &[usize], elements: &'a [T]) -> Result<Self, Error> {
        Npy::new(shape, elements.into())
    }

    /// As [`from_slice`](Self::from_slice), but takes ownership of the elements.
    ///
    /// # Errors
    ///
    /// As for [`from_slice`](Self::from_slice).
    pub fn from_vec(shape: &[usize], elements: Vec<T>) -> Result<Self, Error> {
        Npy::new(shape, elements.into())
    }

    fn new(shape: &[usize], elements: Cow<'a, [T]>) -> Result<Self, Error> {
        if elements_of(shape)? != elements.len() {
            let len = elements.len();
            return Err(Error::new(format_args!("{len} elements do not make an array of shape {shape:?}")));
        }
        Ok(Npy { header: header::<T>(shape), elements })
    }

    /// An array of zeros to write in place, which becomes the whole result without a copy.
    ///
    /// # Errors
    ///
    /// If the array would have 2 GiB or more.
    pub fn map<'t>(output: Output<'t>, shape: &[usize]) -> Result<NpyBuffer<'t, T>, Error> {
        let header = header::<T>(shape);
        let bytes = elements_of(shape)?.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(header.len()));
        let Some(bytes) = bytes.filter(|bytes| *bytes <= i32::MAX as usize) else {
            return Err(Error::new(format_args!("an array of shape {shape:?} is too large for a result")));
        };
        let mut buffer = output.map(bytes);
        buffer[..header.len()].copy_from_slice(&header);
        Ok(NpyBuffer { buffer, start: header.len(), _elements: PhantomData })
    }
}

fn elements_of(shape: &[usize]) -> Result<usize, Error> {
    let elements = shape.iter().try_fold(1usize, |elements, axis| elements.checked_mul(*axis));
    let elements = elements.filter(|_| shape.len() <= 64);
    elements.ok_or_else(|| {
        Error::new(format_args!("{shape:?} is not a possible shape of an array: it has too many elements or axes"))
    })
}

fn header<T: Element>(shape: &[usize]) -> Vec<u8> {
    Header::encode(T::DTYPE, &shape.iter().map(|axis| *axis as u64).collect::<Vec<_>>())
}

/// A result of at least this many bytes travels in a file of its own anyway, so it is written there directly.
const MAPPED_BYTES: usize = 64 << 10;

impl<T: Element> IntoOutput for Npy<'_, T> {
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
        let elements = pod::bytes(&self.elements);
        let len = self.header.len() + elements.len();
        if len < MAPPED_BYTES || len > i32::MAX as usize {
            output.append(&self.header);
            output.append(elements);
        } else {
            let mut buffer = output.reborrow().map(len);
            let (header, data) = buffer.split_at_mut(self.header.len());
            header.copy_from_slice(&self.header);
            data.copy_from_slice(elements);
        }
        Ok(())
    }
}

/// An array that is written in place and becomes the result without a copy. Dereferences to its elements in C order. Made
/// by [`Npy::map`].
///
/// ```
/// # use wrun_guest::{Error, Npy, NpyBuffer, NpyView, Output, TestTask};
/// #[wrun_guest::task]
/// fn halves<'t>(array: NpyView<'t, f64>, output: Output<'t>) -> Result<NpyBuffer<'t, f64>, Error> {
///     let mut halves = Npy::map(output, array.shape())?;
///     halves.iter_mut().zip(&array[..]).for_each(|(half, number)| *half = number / 2.0);
///     Ok(halves)
/// }
/// ```
pub struct NpyBuffer<'t, T: Element> {
    buffer: OutputBuffer<'t>,
    /// The offset of the data in the buffer, in bytes.
    start: usize,
    _elements: PhantomData<T>,
}

const ALIGNED: &str = "a header is a multiple of 64 bytes long, and the buffer starts at such a multiple";

impl<T: Element> Deref for NpyBuffer<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        pod::numbers(&self.buffer[self.start..]).expect(ALIGNED)
    }
}

impl<T: Element> DerefMut for NpyBuffer<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        pod::numbers_mut(&mut self.buffer[self.start..]).expect(ALIGNED)
    }
}

/// The buffer is already the result.
impl<T: Element> IntoOutput for NpyBuffer<'_, T> {
    fn into_output(self, _output: &mut Output<'_>) -> Result<(), Error> {
        Ok(())
    }
}

impl<T: Element> fmt::Debug for NpyBuffer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NpyBuffer({} bytes)", self.buffer.len())
    }
}
