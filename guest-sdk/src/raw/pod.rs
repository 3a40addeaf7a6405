//! Numbers, whose bytes may be anything.

/// A number type whose every bit pattern is a value, so that mapped bytes can be read as it.
///
/// Numbers in an input are little-endian, as WebAssembly's memory is. Pairs of floating-point numbers are complex ones, real part
/// first. The trait is sealed.
pub trait Pod: Copy + sealed::Sealed + 'static {
    /// The type's name, for error messages.
    const NAME: &'static str;
}

mod sealed {
    /// Implementing it promises: any bit pattern is valid, there is no padding and no interior mutability.
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
// A transparent `u16`.
#[cfg(feature = "half")]
pod!("f16" half::f16);

/// The bytes of numbers, in the order of this machine, which is WebAssembly's.
pub(crate) fn bytes<T: Pod>(numbers: &[T]) -> &[u8] {
    // SAFETY: the slice is initialised and has no padding, bytes need no alignment, and the length is that of the slice.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// Bytes as numbers; `None` where they do not begin at a multiple of the type's alignment or are no whole number of it.
pub(crate) fn numbers<T: Pod>(bytes: &[u8]) -> Option<&[T]> {
    if !is_whole::<T>(bytes) {
        return None;
    }
    // SAFETY: alignment and length were checked, and every bit pattern is a number.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
}

/// As [`numbers`], to be written.
pub(crate) fn numbers_mut<T: Pod>(bytes: &mut [u8]) -> Option<&mut [T]> {
    if !is_whole::<T>(bytes) {
        return None;
    }
    let len = bytes.len() / size_of::<T>();
    // SAFETY: as in `numbers`; whatever is written are bytes without padding.
    Some(unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), len) })
}

fn is_whole<T: Pod>(bytes: &[u8]) -> bool {
    bytes.len().is_multiple_of(size_of::<T>()) && bytes.as_ptr().addr().is_multiple_of(align_of::<T>())
}

/// A copy of bytes as numbers, wherever they begin; what is too short for a number at their end is left out.
pub(crate) fn copied<T: Pod>(bytes: &[u8]) -> Vec<T> {
    // SAFETY: a chunk has as many bytes as the type, every bit pattern is a number, and the read needs no alignment.
    bytes.chunks_exact(size_of::<T>()).map(|chunk| unsafe { chunk.as_ptr().cast::<T>().read_unaligned() }).collect()
}
