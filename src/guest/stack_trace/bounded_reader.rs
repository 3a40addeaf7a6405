//! A DWARF reader with a budget: a few bytes of DWARF that refer to the same bytes again and again cost no more time and memory than
//! bytes that are there once.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gimli::{EndianSlice, Error, LittleEndian, Reader, ReaderOffsetId, Result};

type Bytes = EndianSlice<'static, LittleEndian>;

/// The bytes of a section. All clones share one budget.
#[derive(Clone, Debug)]
pub(super) struct BoundedReader {
    bytes: Bytes,
    budget: Arc<AtomicUsize>,
}

impl BoundedReader {
    /// Reads these bytes as long as `budget`, a number of bytes, lasts.
    pub fn new(bytes: &'static [u8], budget: &Arc<AtomicUsize>) -> BoundedReader {
        BoundedReader { bytes: EndianSlice::new(bytes, LittleEndian), budget: budget.clone() }
    }

    /// Pays for one step. It costs more than the bytes that it reads, because callers may keep something of each step.
    fn pay(&self, bytes: usize) -> Result<()> {
        // Relaxed: readers of one module run on one thread at a time.
        let left = self.budget.load(Ordering::Relaxed).checked_sub(bytes.saturating_add(1));
        self.budget.store(left.unwrap_or(0), Ordering::Relaxed);
        left.map(|_| ()).ok_or(Error::UnexpectedEof(self.bytes.offset_id()))
    }
}

impl Reader for BoundedReader {
    type Endian = LittleEndian;
    type Offset = usize;

    fn endian(&self) -> LittleEndian {
        LittleEndian
    }

    fn len(&self) -> usize {
        Reader::len(&self.bytes)
    }

    fn empty(&mut self) {
        self.bytes.empty();
    }

    fn truncate(&mut self, len: usize) -> Result<()> {
        self.bytes.truncate(len)
    }

    fn offset_from(&self, base: &Self) -> usize {
        Reader::offset_from(&self.bytes, &base.bytes)
    }

    fn offset_id(&self) -> ReaderOffsetId {
        self.bytes.offset_id()
    }

    fn lookup_offset_id(&self, id: ReaderOffsetId) -> Option<usize> {
        self.bytes.lookup_offset_id(id)
    }

    fn find(&self, byte: u8) -> Result<usize> {
        let found = Reader::find(&self.bytes, byte)?;
        self.pay(found)?;
        Ok(found)
    }

    fn skip(&mut self, len: usize) -> Result<()> {
        self.pay(0)?;
        self.bytes.skip(len)
    }

    fn split(&mut self, len: usize) -> Result<Self> {
        self.pay(0)?;
        Ok(BoundedReader { bytes: Reader::split(&mut self.bytes, len)?, budget: self.budget.clone() })
    }

    fn to_slice(&self) -> Result<Cow<'_, [u8]>> {
        self.pay(Reader::len(&self.bytes))?;
        self.bytes.to_slice()
    }

    fn to_string(&self) -> Result<Cow<'_, str>> {
        self.pay(Reader::len(&self.bytes))?;
        Reader::to_string(&self.bytes)
    }

    fn to_string_lossy(&self) -> Result<Cow<'_, str>> {
        self.pay(Reader::len(&self.bytes))?;
        Reader::to_string_lossy(&self.bytes)
    }

    fn read_slice(&mut self, buf: &mut [u8]) -> Result<()> {
        self.pay(buf.len())?;
        self.bytes.read_slice(buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_with_the_budget_however_often_it_begins_anew() {
        let budget = Arc::new(AtomicUsize::new(1000));
        let start = BoundedReader::new(&[1; 8], &budget);
        let rounds = (0..).take_while(|_| start.clone().read_u64().is_ok()).count();
        assert_eq!(rounds, 1000 / 9);
        assert!(start.clone().read_u8().is_err() && start.clone().skip(1).is_err() && start.clone().split(1).is_err());
    }
}
