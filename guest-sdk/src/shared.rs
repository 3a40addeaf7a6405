//! Numbers in areas that all tasks write at the same time. Every operation is one atomic instruction, or a loop of
//! compare-exchanges; all are sequentially consistent.

use std::fmt;
use std::marker::PhantomData;

use crate::raw::{Words, host};
use crate::{Error, FromTask, Input, Task};

/// The areas that the job's tasks share, by name; a name is what `--shared NAME=PATH:SIZE` gives.
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
    /// The number at the start of the area.
    ///
    /// # Errors
    ///
    /// When there is no such area, or it has fewer than 8 bytes.
    pub fn u64(&self, name: &str) -> Result<SharedU64<'t>, Error> {
        self.number(name)
    }

    /// As [`u64`](Self::u64).
    ///
    /// # Errors
    ///
    /// As for that.
    pub fn i64(&self, name: &str) -> Result<SharedI64<'t>, Error> {
        self.number(name)
    }

    /// As [`u64`](Self::u64).
    ///
    /// # Errors
    ///
    /// As for that.
    pub fn f64(&self, name: &str) -> Result<SharedF64<'t>, Error> {
        self.number(name)
    }

    /// All numbers of the area.
    ///
    /// # Errors
    ///
    /// When there is no such area, its length is no multiple of 8, or more than [`Input::MAX_WINDOW_LEN`].
    pub fn slice<T: SharedValue>(&self, name: &str) -> Result<SharedSlice<'t, T>, Error> {
        let (region, len) = self.find(name)?;
        if len > Input::MAX_WINDOW_LEN {
            return Err(Error::too_large(len, Input::MAX_WINDOW_LEN));
        }
        Ok(SharedSlice { words: Words::map(self.task, region, len as usize)?, _value: PhantomData })
    }

    /// The area as a histogram: a bin for every 8 bytes.
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
            return Err(Error::new(format_args!("shared area {name:?} has {len} bytes, and a number needs 8")));
        }
        Ok(SharedNumber { word: Words::map(self.task, region, 8)?, _value: PhantomData })
    }

    fn find(&self, name: &str) -> Result<(u32, u64), Error> {
        // That of no name is the slice.
        let found = if name.is_empty() { None } else { host::region_find(name) };
        let region = found.ok_or_else(|| {
            Error::new(format_args!("this task has no shared area named {name:?}: use --shared {name}=PATH:SIZE"))
        })?;
        Ok((region, host::region_len(region)))
    }
}

impl fmt::Debug for Shared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A number that tasks change at the same time.
#[derive(Clone, Copy)]
pub struct SharedNumber<'t, T: SharedValue> {
    word: Words<'t>,
    _value: PhantomData<T>,
}

/// A counter.
pub type SharedU64<'t> = SharedNumber<'t, u64>;
/// A counter that may go below 0.
pub type SharedI64<'t> = SharedNumber<'t, i64>;
/// A sum of floats. Tasks add in no certain order, so its last digits may differ from run to run.
pub type SharedF64<'t> = SharedNumber<'t, f64>;

impl<T: SharedValue> SharedNumber<'_, T> {
    /// Its value now.
    pub fn load(&self) -> T {
        T::from_bits(self.word.load(0))
    }

    /// Sets it.
    pub fn store(&self, value: T) {
        self.word.store(0, value.to_bits());
    }

    /// Sets it; gives its value before.
    pub fn swap(&self, value: T) -> T {
        T::from_bits(self.word.exchange(0, value.to_bits()))
    }

    /// Adds, wrapping around where it is an integer; gives its value before.
    pub fn add(&self, value: T) -> T {
        T::add(&self.word, value)
    }

    /// Makes it the greater one of its value and this; gives its value before.
    pub fn max(&self, value: T) -> T {
        self.update(|now| if value > now { value } else { now })
    }

    /// Makes it the lesser one of its value and this; gives its value before.
    pub fn min(&self, value: T) -> T {
        self.update(|now| if value < now { value } else { now })
    }

    /// Sets it to `new` if it is `current`, bit by bit.
    ///
    /// # Errors
    ///
    /// Its value, where it is another.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        let before = self.word.compare_exchange(0, current.to_bits(), new.to_bits());
        if before == current.to_bits() { Ok(T::from_bits(before)) } else { Err(T::from_bits(before)) }
    }

    /// Sets it to what `new` makes of its value, as often as another task was faster; gives its value before.
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
    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at that index, where there is one.
    pub fn get(&self, index: usize) -> Option<SharedNumber<'t, T>> {
        (index < self.len()).then(|| SharedNumber { word: self.words.part(index, 1), _value: PhantomData })
    }

    /// All of them, in order.
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

/// A histogram to which tasks add at the same time.
#[derive(Clone, Copy, Debug)]
pub struct SharedHistogram<'t>(SharedSlice<'t, u64>);

impl<'t> SharedHistogram<'t> {
    /// How many bins there are.
    pub fn bins(&self) -> usize {
        self.0.len()
    }

    /// Adds to a bin.
    ///
    /// # Panics
    ///
    /// Where there is no such bin.
    pub fn add(&self, bin: usize, count: u64) {
        self.0.words.add(bin, count);
    }

    /// What is in the bins now.
    pub fn load(&self) -> Vec<u64> {
        self.0.iter().map(|bin| bin.load()).collect()
    }
}

/// A number type of 8 bytes that tasks can share. The trait is sealed.
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
    fn areas_that_do_not_fit_are_refused() {
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
        let expected = "shared area \"short\" has 7 bytes, and a number needs 8\n\
                        a shared area of 12 bytes is no whole number of 64-bit words\n\
                        this task has no shared area named \"none\": use --shared none=PATH:SIZE";
        assert_eq!(String::from_utf8(errors.unwrap()).unwrap(), expected);
    }
}
