//! A DWARF reader with a budget, so that what untrusted DWARF costs in memory and time is bounded: a few bytes of it can refer to the
//! same bytes again and again.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gimli::{EndianSlice, Error, LittleEndian, Reader, ReaderOffsetId, Result};

type Bytes = EndianSlice<'static, LittleEndian>;

/// What readers may still spend: about the bytes of memory that is kept of what they read.
#[derive(Debug)]
pub(super) struct Budget {
    left_bytes: AtomicUsize,
    /// An address of the stack, below which parsers may go by [`MAX_STACK_BYTES`].
    stack: AtomicUsize,
}

/// The price of one step, besides the bytes that it reads. What gimli and addr2line keep of a step differs: 24 bytes of a line program's
/// row, about 70 of an inlined function, and up to 140 of a file in a line program's header.
const STEP_BYTES: usize = 48;

/// How much of the stack parsers may use: they recur for each level of inlined functions.
const MAX_STACK_BYTES: usize = 512 << 10;

impl Budget {
    pub fn new(bytes: usize) -> Arc<Budget> {
        Arc::new(Budget { left_bytes: AtomicUsize::new(bytes), stack: AtomicUsize::new(stack_address()) })
    }

    pub fn left_bytes(&self) -> usize {
        self.left_bytes.load(Ordering::Relaxed)
    }

    /// Notes where the stack of a look-up begins. It may run on another thread than the last one.
    pub fn begin(&self) {
        self.stack.store(stack_address(), Ordering::Relaxed);
    }

    /// Pays for a step that reads this many bytes. Returns whether that is possible.
    fn pay(&self, bytes: usize) -> bool {
        if stack_address().abs_diff(self.stack.load(Ordering::Relaxed)) > MAX_STACK_BYTES {
            return false;
        }
        // Relaxed: readers of one module run on one thread at a time.
        let left = self.left_bytes().checked_sub(bytes.saturating_add(STEP_BYTES));
        self.left_bytes.store(left.unwrap_or(0), Ordering::Relaxed);
        left.is_some()
    }
}

/// An address close to the end of this thread's stack.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

/// The bytes of a section. All clones share one budget.
#[derive(Clone, Debug)]
pub(super) struct BoundedReader {
    bytes: Bytes,
    budget: Arc<Budget>,
}

impl BoundedReader {
    /// Reads these bytes as long as `budget` lasts.
    pub fn new(bytes: &'static [u8], budget: &Arc<Budget>) -> BoundedReader {
        BoundedReader { bytes: EndianSlice::new(bytes, LittleEndian), budget: budget.clone() }
    }

    /// Pays for one step.
    fn pay(&self, bytes: usize) -> Result<()> {
        if self.budget.pay(bytes) { Ok(()) } else { Err(Error::UnexpectedEof(self.bytes.offset_id())) }
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
        let budget = Budget::new(1000);
        let start = BoundedReader::new(&[1; 8], &budget);
        let rounds = (0..).take_while(|_| start.clone().read_u64().is_ok()).count();
        assert_eq!(rounds, 1000 / (STEP_BYTES + 8));
        assert!(start.clone().read_u8().is_err() && start.clone().skip(1).is_err() && start.clone().split(1).is_err());
    }

    #[test]
    fn reading_ends_where_the_stack_is_deep() {
        fn depth(reader: &BoundedReader, level: usize) -> usize {
            let room = std::hint::black_box([level; 128]);
            if reader.clone().read_u8().is_err() { room[0] } else { depth(reader, level + 1).max(room[1]) }
        }
        let budget = Budget::new(usize::MAX);
        let deepest = depth(&BoundedReader::new(&[1; 8], &budget), 0);
        assert!((1..MAX_STACK_BYTES / 1024).contains(&deepest), "{deepest} levels");
        assert!(BoundedReader::new(&[1; 8], &budget).read_u8().is_ok(), "the budget is not spent");
    }
}
