//! A task's argument: a short one as bytes, a long one in memory that its workers can map.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Weak};

use crate::ipc::ring::INLINE_MAX_BYTES;
use crate::sys::read_only_map::ReadOnlyMap;
use crate::{Error, Input, Result};

/// A task's argument: bytes, which it dereferences to.
///
/// An argument of up to 64 KiB is copied to its worker. A longer one is copied once, when its task is taken, to sealed memory that
/// workers map; tasks with the same bytes share it. If you know in advance that tasks share an argument, [`Argument::shared`] saves
/// copying and comparing it.
///
/// ```
/// use wrun::{Argument, Task};
///
/// assert_eq!(Task::from("abc").argument, b"abc");
/// assert_eq!(Argument::from(vec![1, 2]).len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Argument(Storage);

#[derive(Clone, Debug)]
enum Storage {
    Bytes(Vec<u8>),
    Stored(Arc<Stored>),
}

/// Bytes in a sealed memory file.
#[derive(Debug)]
struct Stored {
    map: ReadOnlyMap,
    /// What workers get; `None` once no worker needs it any more, because it costs a descriptor.
    file: Option<Input>,
}

// Long arguments must not make tasks with short ones larger.
const _: () = assert!(size_of::<Argument>() == size_of::<Vec<u8>>());

impl Argument {
    /// Copies bytes once to memory that all clones share, and all workers that run tasks with them. Short arguments are kept as
    /// they are.
    ///
    /// ```
    /// use wrun::{Argument, Task};
    ///
    /// let dictionary = Argument::shared(vec![b'x'; 1 << 20])?;
    /// let tasks = (0..1000).map(move |_| Task::new(dictionary.clone()));
    /// assert_eq!(tasks.last().map(|task| task.argument.len()), Some(1 << 20));
    /// # Ok::<(), wrun::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no memory or no descriptor for them.
    pub fn shared(bytes: impl Into<Vec<u8>>) -> Result<Argument> {
        let mut argument = Argument::from(bytes.into());
        argument.store()?;
        Ok(argument)
    }

    /// Moves an argument that is too long for a ring to a memory file, unless it is in one.
    pub(crate) fn store(&mut self) -> Result<()> {
        if self.len() > INLINE_MAX_BYTES && self.file().is_none() {
            let file = Input::from_bytes("argument", self)?;
            let map = ReadOnlyMap::of_sealed(file.file().0, file.len());
            let map = map.map_err(|error| Error::system("cannot map an argument", error))?;
            self.0 = Storage::Stored(Arc::new(Stored { map, file: Some(file) }));
        }
        Ok(())
    }

    /// The same, but shares one of the `known` arguments if it has the same bytes.
    pub(crate) fn store_once(&mut self, known: &mut KnownArguments) -> Result<()> {
        if self.len() <= INLINE_MAX_BYTES || self.file().is_some() {
            return Ok(());
        }
        let hash = *blake3::hash(self).as_bytes();
        if let Some(stored) = known.get(&hash) {
            self.0 = Storage::Stored(stored);
            return Ok(());
        }
        self.store()?;
        if let Storage::Stored(stored) = &self.0 {
            known.put(hash, stored);
        }
        Ok(())
    }

    /// The memory file with the bytes, if they are in one.
    pub(crate) fn file(&self) -> Option<&Input> {
        match &self.0 {
            Storage::Bytes(_) => None,
            Storage::Stored(stored) => stored.file.as_ref(),
        }
    }

    /// Whether no other task has a clone of it.
    pub(crate) fn is_last(&self) -> bool {
        match &self.0 {
            Storage::Bytes(_) => true,
            Storage::Stored(stored) => Arc::strong_count(stored) == 1,
        }
    }

    /// Closes the memory file if no other task shares it; the bytes stay. Otherwise, a program that keeps many tasks with long
    /// arguments would run out of descriptors.
    pub(crate) fn close_file(&mut self) {
        if self.file().is_none() || !self.is_last() {
            return;
        }
        if let Storage::Stored(stored) = std::mem::replace(&mut self.0, Storage::Bytes(Vec::new())) {
            self.0 = Storage::Stored(match Arc::try_unwrap(stored) {
                Ok(stored) => Arc::new(Stored { file: None, ..stored }),
                Err(stored) => stored,
            });
        }
    }
}

/// Long arguments in memory files, by the hash of their bytes, for as long as a task has them.
#[derive(Debug, Default)]
pub(crate) struct KnownArguments {
    stored: HashMap<[u8; 32], Weak<Stored>>,
    /// The number of entries from which on those that are gone are removed.
    prune_at: usize,
}

impl KnownArguments {
    fn get(&self, hash: &[u8; 32]) -> Option<Arc<Stored>> {
        self.stored.get(hash)?.upgrade().filter(|stored| stored.file.is_some())
    }

    fn put(&mut self, hash: [u8; 32], stored: &Arc<Stored>) {
        if self.stored.len() > self.prune_at {
            self.stored.retain(|_, stored| stored.strong_count() > 0);
            self.prune_at = (2 * self.stored.len()).max(64);
        }
        self.stored.insert(hash, Arc::downgrade(stored));
    }
}

impl Default for Argument {
    fn default() -> Self {
        Argument(Storage::Bytes(Vec::new()))
    }
}

/// Strings, vectors, slices and arrays of bytes.
impl<T: Into<Vec<u8>>> From<T> for Argument {
    fn from(bytes: T) -> Self {
        Argument(Storage::Bytes(bytes.into()))
    }
}

impl Deref for Argument {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Storage::Bytes(bytes) => bytes,
            Storage::Stored(stored) => &stored.map,
        }
    }
}

impl AsRef<[u8]> for Argument {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<T> for Argument {
    fn eq(&self, other: &T) -> bool {
        **self == *other.as_ref()
    }
}

impl Eq for Argument {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_fits_into_a_ring_is_never_put_into_a_file() {
        for (len, stored) in [(0, false), (INLINE_MAX_BYTES, false), (INLINE_MAX_BYTES + 1, true)] {
            let argument = Argument::shared(vec![7; len]).expect("memory");
            assert_eq!(argument.file().is_some(), stored, "{len}");
            assert_eq!(argument, vec![7; len]);
        }
    }

    #[test]
    fn clones_share_a_file_that_the_last_of_them_closes() {
        let mut argument = Argument::shared(vec![7; 100_000]).expect("memory");
        let other = argument.clone();
        let file = |argument: &Argument| argument.file().map(|input| input.file().1);
        assert_eq!(file(&argument), file(&other));
        argument.close_file();
        assert!(argument.file().is_some() && !argument.is_last(), "the other one needs it");
        drop(other);
        argument.close_file();
        assert!(argument.file().is_none() && argument.is_last());
        assert_eq!(argument, vec![7; 100_000]);
        argument.store().expect("memory");
        assert!(argument.file().is_some(), "it can be sent again");
    }

    #[test]
    fn the_same_bytes_are_stored_once_for_as_long_as_somebody_has_them() {
        let mut known = KnownArguments::default();
        let mut store = |byte: u8| {
            let mut argument = Argument::from(vec![byte; 100_000]);
            argument.store_once(&mut known).expect("memory");
            argument
        };
        let (mut one, same, other) = (store(1), store(1), store(2));
        let file = |argument: &Argument| argument.file().map(|input| input.file().1);
        assert_eq!(file(&one), file(&same));
        assert_ne!(file(&one), file(&other));
        drop(same);
        one.close_file();
        assert!(one.file().is_none(), "it was the last");
        assert_eq!(one, vec![1; 100_000]);
        assert!(file(&store(1)).is_some(), "one that is closed is not used again");
        (0..=255).cycle().take(10_000).for_each(|byte| drop(store(byte)));
        assert!(known.stored.len() <= 256, "{}", known.stored.len());
    }
}
