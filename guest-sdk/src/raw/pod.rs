//! Number types that are valid for any bytes.

/// A number type for which every bit pattern is valid, so that mapped bytes can be read as numbers.
///
/// Numbers in an input are little-endian, like WebAssembly's memory. Pairs of floating-point numbers are complex numbers,
/// real part first. The trait is sealed.
pub trait Pod: Copy + sealed::Sealed + 'static {
    /// The type's name, for error messages.
    const NAME: &'static str;
}

mod sealed {
    /// Implementors promise that any bit pattern is valid and that there is no padding and no interior mutability.
    pub trait Sealed {}
}

macro_rules! pod {
    ($($name:literal $ty:ty),*) => {
        $(
            impl sealed::Sealed for $ty {}
            impl Pod for $ty {
                const NAME: &'static str = $name;
            }
        )*
    };
}

pod!("u8" u8, "i8" i8, "u16" u16, "i16" i16, "u32" u32, "i32" i32, "u64" u64, "i64" i64, "u128" u128, "i128" i128);
pod!("f32" f32, "f64" f64, "[f32; 2]" [f32; 2], "[f64; 2]" [f64; 2]);
// A `repr(transparent)` wrapper of `u16`.
#[cfg(feature = "half")]
pod!("f16" half::f16);

/// The bytes of numbers, in this machine's byte order, which is the same as WebAssembly's.
pub(crate) fn bytes<T: Pod>(numbers: &[T]) -> &[u8] {
    // SAFETY: the slice is initialised and has no padding, bytes need no alignment, and the length is that of the slice.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// Bytes as numbers; `None` if they are not aligned for the type or not a whole number of values.
pub(crate) fn numbers<T: Pod>(bytes: &[u8]) -> Option<&[T]> {
    if !is_whole::<T>(bytes) {
        return None;
    }
    // SAFETY: alignment and length were checked, and every bit pattern is a number.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
}

/// As [`numbers`], writable.
pub(crate) fn numbers_mut<T: Pod>(bytes: &mut [u8]) -> Option<&mut [T]> {
    if !is_whole::<T>(bytes) {
        return None;
    }
    let len = bytes.len() / size_of::<T>();
    // SAFETY: as in `numbers`, and values have no padding, so every byte stays initialised.
    Some(unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), len) })
}

fn is_whole<T: Pod>(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(size_of::<T>()) && bytes.as_ptr().addr().is_multiple_of(align_of::<T>())
}

/// A copy of bytes as numbers, whatever their alignment; a partial number at the end is left out.
pub(crate) fn copied<T: Pod>(bytes: &[u8]) -> Vec<T> {
    // SAFETY: a chunk has as many bytes as the type, every bit pattern is a number, and the read needs no alignment.
    bytes.chunks_exact(size_of::<T>()).map(|chunk| unsafe { chunk.as_ptr().cast::<T>().read_unaligned() }).collect()
}
