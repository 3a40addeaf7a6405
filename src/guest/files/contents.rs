//! The bytes of a scratch file.

use std::collections::BTreeMap;

use super::error::FileError;
use super::space::Space;

/// The bytes of a page, which is the unit of space.
const PAGE: usize = 4096;

/// The longest that a file can be: offsets have 63 bits.
pub(in crate::guest) const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// The contents of a file, in pages. Pages that were never written are holes: they are zeros, and take no space.
#[derive(Debug, Default)]
pub(in crate::guest) struct Contents {
    len: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Contents {
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of space that its pages take.
    pub(super) fn space(&self) -> u64 {
        (self.pages.len() * PAGE) as u64
    }

    /// Reads from an offset on. Returns how many bytes there were.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
        let count = buffer.len().min(left);
        let mut done = 0;
        while done < count {
            let (page, offset) = place(at + done as u64);
            let part = (PAGE - offset).min(count - done);
            match self.pages.get(&page) {
                Some(bytes) => buffer[done..done + part].copy_from_slice(&bytes[offset..offset + part]),
                None => buffer[done..done + part].fill(0),
            }
            done += part;
        }
        count
    }

    /// Writes at an offset. Returns how many bytes there was space for.
    ///
    /// # Errors
    ///
    /// If there was space for none, or the file would be too long.
    pub(super) fn write(&mut self, space: &mut Space, at: u64, bytes: &[u8]) -> Result<usize, FileError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = MAX_FILE_BYTES.saturating_sub(at);
        if room == 0 {
            return Err(FileError::FileTooLarge);
        }
        let count = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < count {
            let (page, offset) = place(at + done as u64);
            let part = (PAGE - offset).min(count - done);
            let there = match self.pages.entry(page) {
                std::collections::btree_map::Entry::Occupied(there) => there.into_mut(),
                std::collections::btree_map::Entry::Vacant(hole) => match space.take(PAGE as u64) {
                    Ok(()) => hole.insert(Box::new([0; PAGE])),
                    Err(error) if done == 0 => return Err(error),
                    Err(_) => break,
                },
            };
            there[offset..offset + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
        self.len = self.len.max(at + done as u64);
        Ok(done)
    }

    /// Cuts the file off, or adds a hole.
    ///
    /// # Errors
    ///
    /// If that is too long.
    pub(super) fn set_len(&mut self, space: &mut Space, len: u64) -> Result<(), FileError> {
        if len > MAX_FILE_BYTES {
            return Err(FileError::Invalid);
        }
        if len < self.len {
            let (page, offset) = place(len);
            let first_to_go = if offset == 0 { page } else { page + 1 };
            let gone = self.pages.split_off(&first_to_go);
            space.give_back((gone.len() * PAGE) as u64);
            if offset > 0
                && let Some(last) = self.pages.get_mut(&page)
            {
                // If the file grows again, zeros stand here.
                last[offset..].fill(0);
            }
        }
        self.len = len;
        Ok(())
    }
}

/// The page of an offset, and the offset in it.
fn place(at: u64) -> (u64, usize) {
    (at / PAGE as u64, (at % PAGE as u64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_zeros_and_take_no_space() {
        let (mut file, mut space) = (Contents::default(), Space::new(2 * PAGE as u64));
        assert_eq!(file.write(&mut space, 1 << 40, b"end"), Ok(3));
        assert_eq!((file.len(), space.used()), ((1 << 40) + 3, PAGE as u64));
        let mut bytes = [1; 5];
        assert_eq!(file.read((1 << 40) - 2, &mut bytes), 5);
        assert_eq!(&bytes, b"\0\0end");
        assert_eq!(file.read((1 << 40) + 1, &mut bytes), 2);
        assert_eq!(file.read(u64::MAX, &mut bytes), 0);
        file.set_len(&mut space, 10).unwrap();
        assert_eq!((file.len(), space.used()), (10, 0));
        assert_eq!(file.set_len(&mut space, 1 << 63), Err(FileError::Invalid));
        assert_eq!(file.write(&mut space, MAX_FILE_BYTES, b"x"), Err(FileError::FileTooLarge));
        assert_eq!(file.write(&mut space, MAX_FILE_BYTES - 1, b"xy"), Ok(1));
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        let (mut file, mut space) = (Contents::default(), Space::new(1 << 20));
        file.write(&mut space, 0, &[7; 3 * PAGE]).unwrap();
        file.set_len(&mut space, 5).unwrap();
        file.set_len(&mut space, 9).unwrap();
        let mut bytes = [1; 20];
        assert_eq!(file.read(0, &mut bytes), 9);
        assert_eq!(bytes[..9], [7, 7, 7, 7, 7, 0, 0, 0, 0]);
    }

    #[test]
    fn a_write_ends_where_the_space_does() {
        let (mut file, mut space) = (Contents::default(), Space::new(2 * PAGE as u64));
        assert_eq!(file.write(&mut space, 100, &[7; 3 * PAGE]), Ok(2 * PAGE - 100));
        assert!(space.is_refused());
        assert_eq!(file.write(&mut space, 2 * PAGE as u64, b"x"), Err(FileError::NoSpace));
        assert_eq!(file.write(&mut space, 0, b"x"), Ok(1), "that page is there");
    }
}
