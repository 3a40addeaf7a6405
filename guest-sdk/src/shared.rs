//! Numbers in shared memory, which all tasks write at the same time. Every operation is one atomic instruction or a
//! compare-exchange loop, and is sequentially consistent.

use std::fmt;
use std::marker::PhantomData;

use crate::raw::{Words, host};
use crate::{Error, FromTask, Input, Task};

/// The job's shared memories, by name; names are given with `--shared NAME=PATH:SIZE`.
///
/// ```
/// # use wrun_guest::{Error, Shared, TestTask};
/// /// Counts the words of the argument by their length.
/// #[wrun_guest::task]
/// fn lengths(text: &str, shared: Shared) -> Result<(), Error> {
///     let histogram = shared.histogram("lengths")?;
///     text.split_whitespace().for_each(|word| histogram.add(word.len(), 1));
///     shared.u64("tasks")?.add(1);
///     Ok(())
/// }
///
/// let task = TestTask::new().arg("an odd word").shared("lengths", 5 * 8).shared("tasks", 8);
/// let written = task.run_in_place(|task| lengths(task.arg_str()?, task.extract()?)).unwrap();
/// assert_eq!(written.shared[0], [0u64, 0, 1, 1, 1].map(u64::to_le_bytes).concat());
/// assert_eq!(written.shared[1], 1u64.to_le_bytes());
/// ```
#[derive(Clone, Copy)]
pub struct Shared<'t> {
    task: &'t Task,
}

impl<'t> FromTask<'t> for Shared<'t> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(Shared { task })
    }
}

impl<'t> Shared<'t> {
    /// The number at the start of a shared memory.
    ///
    /// # Errors
    ///
    /// If there is no shared memory with this name, or it has fewer than 8 bytes.
    pub fn u64(&self, name: &str) -> Result<SharedU64<'t>, Error> {
        self.number(name)
    }

    /// As [`u64`](Self::u64), for a signed number.
    ///
    /// # Errors
    ///
    /// As for [`u64`](Self::u64).
    pub fn i64(&self, name: &str) -> Result<SharedI64<'t>, Error> {
        self.number(name)
    }

    /// As [`u64`](Self::u64), for a floating-point number.
    ///
    /// # Errors
    ///
    /// As for [`u64`](Self::u64).
    pub fn f64(&self, name: &str) -> Result<SharedF64<'t>, Error> {
        self.number(name)
    }

    /// All numbers of a shared memory.
    ///
    /// # Errors
    ///
    /// If there is no shared memory with this name, or its length is not a multiple of 8 or exceeds
    /// [`Input::MAX_WINDOW_LEN`].
    pub fn slice<T: SharedValue>(&self, name: &str) -> Result<SharedSlice<'t, T>, Error> {
        let (region, len) = self.find(name)?;
        if len > Input::MAX_WINDOW_LEN {
            return Err(Error::too_large(len, Input::MAX_WINDOW_LEN));
        }
        Ok(SharedSlice { words: Words::map(self.task, region, len as usize)?, _value: PhantomData })
    }

    /// A shared memory as a histogram, with one bin for every 8 bytes.
    ///
    /// # Errors
    ///
    /// As for [`slice`](Self::slice).
    pub fn histogram(&self, name: &str) -> Result<SharedHistogram<'t>, Error> {
        self.slice(name).map(SharedHistogram)
    }

    fn number<T: SharedValue>(&self, name: &str) -> Result<SharedNumber<'t, T>, Error> {
        let (region, len) = self.find(name)?;
        if len < 8 {
            return Err(Error::new(format_args!("shared memory {name:?} has {len} bytes, but a number needs 8")));
        }
        Ok(SharedNumber { word: Words::map(self.task, region, 8)?, _value: PhantomData })
    }

    fn find(&self, name: &str) -> Result<(u32, u64), Error> {
        // The empty name would find the output slice.
        let found = if name.is_empty() { None } else { host::region_find(name) };
        let region = found.ok_or_else(|| {
            Error::new(format_args!("this task has no shared memory named {name:?}: use --shared {name}=PATH:SIZE"))
        })?;
        Ok((region, host::region_len(region)))
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A number that tasks change at the same time. [`Shared`] has an example.
#[derive(Clone, Copy)]
pub struct SharedNumber<'t, T: SharedValue> {
    word: Words<'t>,
    _value: PhantomData<T>,
}

/// A counter.
pub type SharedU64<'t> = SharedNumber<'t, u64>;
/// A counter that can go below 0.
pub type SharedI64<'t> = SharedNumber<'t, i64>;
/// A floating-point sum. Tasks add in no particular order, so its last digits may differ from run to run.
pub type SharedF64<'t> = SharedNumber<'t, f64>;

impl<T: SharedValue> SharedNumber<'_, T> {
    /// Its current value.
    #[must_use]
    pub fn load(&self) -> T {
        T::from_bits(self.word.load(0))
    }

    /// Sets it.
    pub fn store(&self, value: T) {
        self.word.store(0, value.to_bits());
    }

    /// Sets it and returns the previous value.
    pub fn swap(&self, value: T) -> T {
        T::from_bits(self.word.exchange(0, value.to_bits()))
    }

    /// Adds to it and returns the previous value. Integers wrap around.
    pub fn add(&self, value: T) -> T {
        T::add(&self.word, value)
    }

    /// Sets it to the maximum of its value and this one and returns the previous value.
    pub fn max(&self, value: T) -> T {
        self.update(|now| if value > now { value } else { now })
    }

    /// Sets it to the minimum of its value and this one and returns the previous value.
    pub fn min(&self, value: T) -> T {
        self.update(|now| if value < now { value } else { now })
    }

    /// Sets it to `new` if it equals `current`, bit by bit, and returns the previous value.
    ///
    /// # Errors
    ///
    /// The actual value, if it differs.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        let before = self.word.compare_exchange(0, current.to_bits(), new.to_bits());
        if before == current.to_bits() { Ok(T::from_bits(before)) } else { Err(T::from_bits(before)) }
    }

    /// Sets it to what `new` returns for its value and returns the previous value.
    ///
    /// `new` is called again whenever another task changed the number in the meantime.
    pub fn update(&self, new: impl Fn(T) -> T) -> T {
        T::from_bits(update(&self.word, |now| new(T::from_bits(now)).to_bits()))
    }
}

impl<T: SharedValue + fmt::Debug> fmt::Debug for SharedNumber<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedNumber").field(&self.load()).finish()
    }
}

fn update(word: &Words<'_>, new: impl Fn(u64) -> u64) -> u64 {
    let mut now = word.load(0);
    loop {
        let before = word.compare_exchange(0, now, new(now));
        if before == now {
            return before;
        }
        now = before;
    }
}

/// Numbers that tasks change at the same time.
#[derive(Clone, Copy)]
pub struct SharedSlice<'t, T: SharedValue> {
    words: Words<'t>,
    _value: PhantomData<T>,
}

impl<'t, T: SharedValue> SharedSlice<'t, T> {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at this index, if there is one.
    pub fn get(&self, index: usize) -> Option<SharedNumber<'t, T>> {
        (index < self.len()).then(|| SharedNumber { word: self.words.part(index, 1), _value: PhantomData })
    }

    /// All numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = SharedNumber<'t, T>> + use<'t, T> {
        let slice = *self;
        (0..self.len()).filter_map(move |index| slice.get(index))
    }
}

impl<T: SharedValue> fmt::Debug for SharedSlice<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSlice({} numbers)", self.len())
    }
}

/// A histogram to which tasks add at the same time. [`Shared`] has an example.
#[derive(Clone, Copy, Debug)]
pub struct SharedHistogram<'t>(SharedSlice<'t, u64>);

impl<'t> SharedHistogram<'t> {
    /// The number of bins.
    pub fn bins(&self) -> usize {
        self.0.len()
    }

    /// Adds `count` to a bin. The count wraps around.
    ///
    /// # Panics
    ///
    /// If there is no such bin.
    pub fn add(&self, bin: usize, count: u64) {
        self.0.words.add(bin, count);
    }

    /// The current contents of the bins.
    #[must_use]
    pub fn load(&self) -> Vec<u64> {
        self.0.iter().map(|bin| bin.load()).collect()
    }
}

/// An 8-byte number type that tasks can share. The trait is sealed.
pub trait SharedValue: Copy + PartialOrd + sealed::Sealed {}

mod sealed {
    use super::{Words, update};

    pub trait Sealed: Sized {
        fn to_bits(self) -> u64;
        fn from_bits(bits: u64) -> Self;
        fn add(word: &Words<'_>, value: Self) -> Self;
    }

    impl Sealed for u64 {
        fn to_bits(self) -> u64 {
            self
        }
        fn from_bits(bits: u64) -> u64 {
            bits
        }
        fn add(word: &Words<'_>, value: u64) -> u64 {
            word.add(0, value)
        }
    }

    impl Sealed for i64 {
        fn to_bits(self) -> u64 {
            self.cast_unsigned()
        }
        fn from_bits(bits: u64) -> i64 {
            bits.cast_signed()
        }
        fn add(word: &Words<'_>, value: i64) -> i64 {
            word.add(0, value.cast_unsigned()).cast_signed()
        }
    }

    impl Sealed for f64 {
        fn to_bits(self) -> u64 {
            f64::to_bits(self)
        }
        fn from_bits(bits: u64) -> f64 {
            f64::from_bits(bits)
        }
        fn add(word: &Words<'_>, value: f64) -> f64 {
            f64::from_bits(update(word, |now| (f64::from_bits(now) + value).to_bits()))
        }
    }
}

impl SharedValue for u64 {}
impl SharedValue for i64 {}
impl SharedValue for f64 {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestTask;

    #[test]
    fn numbers_are_added_and_compared() {
        let written = TestTask::new().shared("n", 24).run_in_place(|task| {
            let shared: Shared = task.extract()?;
            assert_eq!((shared.i64("n")?.add(-5), shared.i64("n")?.add(2), shared.i64("n")?.load()), (0, -5, -3));
            assert_eq!((shared.u64("n")?.swap(7), shared.u64("n")?.load()), (-3i64 as u64, 7));
            let floats = shared.slice::<f64>("n")?;
            let last = floats.get(2).ok_or_else(|| Error::new("no float"))?;
            assert_eq!((last.add(1.5), last.add(1.0), last.load()), (0.0, 1.5, 2.5));
            assert_eq!((last.max(2.0), last.min(-1.0), last.load()), (2.5, 2.5, -1.0));
            assert_eq!((last.compare_exchange(1.0, 2.0), last.compare_exchange(-1.0, 2.0)), (Err(-1.0), Ok(-1.0)));
            assert!(floats.get(3).is_none() && floats.iter().count() == 3);
            Ok(())
        });
        assert_eq!(written.unwrap().shared[0], [7u64.to_le_bytes(), [0; 8], 2f64.to_le_bytes()].concat());
    }

    #[test]
    fn shared_memories_that_do_not_fit_are_refused() {
        let task = TestTask::new().shared("short", 7).shared("odd", 12);
        let errors = task.run(|task| {
            let shared: Shared = task.extract()?;
            let error = |error: Error| error.to_string();
            Ok([
                shared.u64("short").map(drop).map_err(error).unwrap_err(),
                shared.histogram("odd").map(drop).map_err(error).unwrap_err(),
                shared.u64("none").map(drop).map_err(error).unwrap_err(),
            ]
            .join("\n"))
        });
        let expected = "shared memory \"short\" has 7 bytes, but a number needs 8\n\
                        a shared memory of 12 bytes is not a whole number of 64-bit words\n\
                        this task has no shared memory named \"none\": use --shared none=PATH:SIZE";
        assert_eq!(String::from_utf8(errors.unwrap()).unwrap(), expected);
    }
}
