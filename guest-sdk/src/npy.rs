//! Arrays in NumPy's `.npy` files, read in place.

use std::fmt;
use std::ops::{Deref, Range};

use wrun_npy::{Dtype, Header, Kind, MAX_LEN, Order};

use crate::{Error, FromTask, Input, Pod, Task, Window};

/// A type that array elements can be read and written as.
///
/// | type | dtype |
/// |---|---|
/// | `i8`, `i16`, `i32`, `i64`, `u8`, `u16`, `u32`, `u64` | `i1` ... `u8` |
/// | `f32`, `f64` | `f4`, `f8` |
/// | `half::f16`, with the feature `half` | `f2` |
/// | `[f32; 2]`, `[f64; 2]` (real and imaginary part) | `c8`, `c16` |
/// | `u8` | also reads `b1`, where 0 is false |
pub trait Element: Pod {
    /// The NumPy type that is written.
    const DTYPE: Dtype;
}

macro_rules! element {
    ($($ty:ty: $kind:ident)*) => {
        $(impl Element for $ty {
            const DTYPE: Dtype = Dtype::little(Kind::$kind, size_of::<$ty>() as u8).expect("NumPy has this type");
        })*
    };
}

element!(i8: Int i16: Int i32: Int i64: Int u8: Uint u16: Uint u32: Uint u64: Uint f32: Float f64: Float);
element!([f32; 2]: Complex [f64; 2]: Complex);
#[cfg(feature = "half")]
element!(half::f16: Float);

/// The array in a task's `.npy` file, or rows of it, before anything is mapped: its type and shape.
///
/// As a parameter it is the array in the task's first input, or the rows that `wrun map --split` gave to the task. Use
/// [`NpyView<T>`] if the array has a known type and fits into memory.
///
/// ```
/// # use wrun_guest::{Error, NpyInput, TestTask, Npy};
/// /// The sum of an array of any size, a million rows at a time.
/// #[wrun_guest::task]
/// fn sum(array: NpyInput) -> Result<f64, Error> {
///     let mut sum = 0.0;
///     for start in (0..array.len()).step_by(1_000_000) {
///         let end = array.len().min(start + 1_000_000);
///         sum += array.rows(start..end)?.view::<f64>()?.iter().sum::<f64>();
///     }
///     Ok(sum)
/// }
///
/// let file = TestTask::new().run(|_| Npy::from_vec(&[3, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
/// assert_eq!(TestTask::new().input("a.npy", file).run(|task| sum(task.extract()?)).unwrap(), b"21");
/// ```
#[derive(Clone)]
pub struct NpyInput<'t> {
    dtype: Dtype,
    shape: Vec<u64>,
    file: Input<'t>,
    /// The offset of the data in the input, in bytes.
    start: u64,
    /// The size of the data in bytes.
    bytes: u64,
}

impl<'t> NpyInput<'t> {
    /// The array in a whole `.npy` file.
    ///
    /// # Errors
    ///
    /// If the input is not such a file, does not hold numbers in C order, or was cut off.
    pub fn open(file: Input<'t>) -> Result<Self, Error> {
        let header = read_header(file)?;
        let (start, bytes) = (header.len() as u64, header.data_bytes());
        if start.checked_add(bytes).is_none_or(|end| end > file.len()) {
            let there = file.len() - start;
            return Err(Error::new(format_args!(
                "the .npy header promises {bytes} bytes of data, but there are only {there}; the file was cut off"
            )));
        }
        Ok(NpyInput { dtype: header.dtype(), shape: header.shape().to_vec(), file, start, bytes })
    }

    /// Rows of an array, from an input of rows alone and one with the header alone; `None` if the inputs are not that.
    fn pieces(rows: Input<'t>, header: Input<'t>) -> Option<Self> {
        // A header that promises data, in an input that ends with the header, belongs to a piece.
        let header = Some(header).filter(|header| header.len() <= MAX_LEN as u64);
        let header =
            header.and_then(|input| read_header(input).ok().filter(|header| header.len() as u64 == input.len()))?;
        let (row_bytes, bytes) = (header.row_bytes().filter(|bytes| *bytes > 0)?, rows.len());
        if !bytes.is_multiple_of(row_bytes) || bytes > header.data_bytes() {
            return None;
        }
        let mut shape = header.shape().to_vec();
        shape[0] = bytes / row_bytes;
        Some(NpyInput { dtype: header.dtype(), shape, file: rows, start: 0, bytes })
    }

    /// The elements' type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The lengths of the axes; empty for a single number. The first one counts the rows of this part.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The number of rows, which is the length of axis 0; 1 for a single number.
    pub fn len(&self) -> u64 {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A range of the rows; nothing is mapped.
    ///
    /// # Errors
    ///
    /// If the range is not within the rows, or the array is a single number.
    pub fn rows(&self, rows: Range<u64>) -> Result<NpyInput<'t>, Error> {
        let Range { start, end } = rows;
        let mut part = self.clone();
        match part.shape.first_mut() {
            Some(count) if start <= end && end <= *count => {
                let row_bytes = self.bytes / (*count).max(1);
                *count = end - start;
                part.start += start * row_bytes;
                part.bytes = (end - start) * row_bytes;
                Ok(part)
            }
            _ => {
                Err(Error::new(format_args!("there are no rows {start}..{end} in an array of shape {:?}", self.shape)))
            }
        }
    }

    /// Maps the array as elements of the type `T`.
    ///
    /// # Errors
    ///
    /// If the elements have another type or are not little-endian; if they have more than
    /// [`MAX_WINDOW_LEN`](Input::MAX_WINDOW_LEN) bytes (take a part with [`rows`](Self::rows)); or if the data is not aligned,
    /// which it is in files that NumPy writes.
    pub fn view<T: Element>(&self) -> Result<NpyView<'t, T>, Error> {
        let shape = self.check::<T>()?;
        let window = self.file.map_range(self.start..self.start + self.bytes)?.cast().map_err(|_| {
            Error::new(format_args!(
                "the data of the .npy file does not start at a multiple of {}, the alignment of {}; use to_vec, \
                 or save the array again with numpy.save",
                align_of::<T>(),
                T::NAME
            ))
        })?;
        Ok(NpyView { window, shape })
    }

    /// A copy of all elements, in C order; the data need not be aligned.
    ///
    /// # Errors
    ///
    /// As for [`view`](Self::view), except for alignment.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, Error> {
        self.check::<T>()?;
        let window = self.file.map_range(self.start..self.start + self.bytes)?;
        Ok(crate::raw::pod::copied(&window))
    }

    /// The shape as numbers of memory, if the elements have the type `T`.
    fn check<T: Element>(&self) -> Result<Vec<usize>, Error> {
        let as_bytes = self.dtype.kind() == Kind::Bool && T::DTYPE.kind() == Kind::Uint && T::DTYPE.bytes() == 1;
        if self.dtype != T::DTYPE && !as_bytes {
            let hint = match self.dtype.order() {
                Order::Big => "; big-endian arrays are not supported: save a.astype(a.dtype.newbyteorder('<'))",
                Order::Little => "",
            };
            return Err(Error::new(format_args!(
                "the array's elements are {}, but this task reads {} ({}){hint}",
                self.dtype,
                T::DTYPE,
                T::NAME
            )));
        }
        let shape: Result<Vec<usize>, _> = self.shape.iter().map(|axis| usize::try_from(*axis)).collect();
        let shape = shape.ok().filter(|shape| {
            // Axes of length 0 are left out, so that the product of any other axes fits, too.
            let axes = shape.iter().filter(|axis| **axis != 0);
            axes.copied()
                .try_fold(size_of::<T>(), usize::checked_mul)
                .is_some_and(|bytes| isize::try_from(bytes).is_ok())
        });
        shape.ok_or_else(|| {
            Error::new(format_args!(
                "an array of shape {:?} is larger than memory; take some of its rows at a time",
                self.shape
            ))
        })
    }
}

fn read_header(input: Input<'_>) -> Result<Header, Error> {
    let bytes = input.map_range(..input.len().min(MAX_LEN as u64))?;
    Header::parse(&bytes).map_err(Error::new)
}

impl<'t> FromTask<'t> for NpyInput<'t> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        let file: Input = task.extract()?;
        let rows = task.inputs().get(1).and_then(|header| NpyInput::pieces(file, header));
        rows.map_or_else(|| NpyInput::open(file), Ok)
    }
}

impl fmt::Debug for NpyInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NpyInput({} {:?})", self.dtype, self.shape)
    }
}

/// An array, or rows of one, mapped into memory. Dereferences to its elements in C order.
///
/// ```
/// # use wrun_guest::{Npy, NpyView, TestTask};
/// #[wrun_guest::task]
/// fn row_sums(array: NpyView<i32>) -> Npy<'static, i32> {
///     let sums: Vec<i32> = array.rows().map(|row| row.iter().sum()).collect();
///     Npy::from_vec(&[sums.len()], sums).expect("one axis")
/// }
///
/// let file = TestTask::new().run(|_| Npy::from_vec(&[2, 2], vec![1, 2, 3, 4])).unwrap();
/// let sums = TestTask::new().input("a.npy", file).run(|task| Ok(row_sums(task.extract()?))).unwrap();
/// let shown = TestTask::new().input("sums.npy", sums).run(|task| Ok(format!("{:?}", &task.extract::<NpyView<i32>>()?[..])));
/// assert_eq!(shown.unwrap(), b"[3, 7]");
/// ```
#[derive(Debug)]
pub struct NpyView<'t, T: Element> {
    window: Window<'t, T>,
    shape: Vec<usize>,
}

impl<T: Element> NpyView<'_, T> {
    /// The lengths of the axes; empty for a single number. The first one counts the rows of this part.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The distance between neighbours along each axis, in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..strides.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        strides
    }

    /// All elements, in C order.
    pub fn as_slice(&self) -> &[T] {
        &self.window
    }

    /// The rows: the parts along axis 0, each in C order. If rows have no elements, there are none.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, T> {
        let len: usize = self.shape.iter().skip(1).product();
        self.window.chunks_exact(len.max(1))
    }

    /// The array as a view of the `ndarray` crate.
    #[cfg(feature = "ndarray")]
    pub fn array(&self) -> ndarray::ArrayViewD<'_, T> {
        ndarray::ArrayViewD::from_shape(&self.shape[..], &self.window)
            .expect("the window has as many elements as the shape")
    }
}

impl<T: Element> Deref for NpyView<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.window
    }
}

impl<'t, T: Element> FromTask<'t> for NpyView<'t, T> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        task.extract::<NpyInput>()?.view()
    }
}

#[cfg(test)]
#[path = "npy_tests.rs"]
mod tests;
