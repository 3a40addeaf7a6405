//! What directories contained when a task began to list them.
//!
//! A program lists a directory by many calls, each for as many entries as its buffer holds. wasmtime-wasi reads the whole directory in
//! each call, so a listing is kept from call to call.

use std::collections::HashMap;

/// The most bytes that are kept of all listings of a task. Of a larger directory, the end is read anew in each call.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// The length of an entry without its name, in bytes (`dirent` of WASI preview 1).
const DIRENT_BYTES: usize = 24;

/// Listings by the descriptor of their directory.
#[derive(Debug, Default)]
pub(super) struct Listings(HashMap<u32, Listing>);

/// The entries of a directory, as `fd_readdir` gives them.
#[derive(Debug)]
pub(super) struct Listing {
    bytes: Vec<u8>,
    /// Where each entry begins. The cookie of an entry is its number.
    starts: Vec<u32>,
    is_whole: bool,
}

impl Listings {
    pub fn get(&self, descriptor: u32) -> Option<&Listing> {
        self.0.get(&descriptor)
    }

    /// Keeps a listing, and drops others if there are too many.
    pub fn put(&mut self, descriptor: u32, listing: Listing) {
        let kept: usize = self.0.values().map(Listing::size).sum();
        if kept + listing.size() > MAX_BYTES {
            self.0.clear();
        }
        self.0.insert(descriptor, listing);
    }

    /// Drops the listing of a descriptor that is closed, or listed from the start.
    pub fn forget(&mut self, descriptor: u32) {
        self.0.remove(&descriptor);
    }
}

impl Listing {
    /// Takes what `fd_readdir` gave from the first entry on; `is_whole` says whether that is all. An entry that is cut off is dropped.
    pub fn new(mut bytes: Vec<u8>, is_whole: bool) -> Listing {
        let (mut starts, mut end) = (Vec::new(), 0);
        for entry in entries(&bytes) {
            starts.push(end as u32);
            end += DIRENT_BYTES + entry.name.len();
        }
        bytes.truncate(end);
        Listing { bytes, starts, is_whole }
    }

    fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&self.starts[..])
    }

    /// At most `len` bytes from the entry with this cookie on; `None` if they are not known.
    pub fn part(&self, cookie: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(cookie).ok().and_then(|cookie| self.starts.get(cookie));
        match start {
            Some(start) => {
                let rest = &self.bytes[*start as usize..];
                (self.is_whole || rest.len() >= len).then(|| &rest[..len.min(rest.len())])
            }
            None => self.is_whole.then_some(&[]),
        }
    }
}

/// An entry of a directory, as `fd_readdir` gives it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirEntry<'a> {
    pub inode: u64,
    /// The file type, as a byte.
    pub kind: u8,
    pub name: &'a [u8],
}

/// The entries in what `fd_readdir` gave, but for one that is cut off.
pub(super) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = DirEntry<'_>> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_at_checked(DIRENT_BYTES)?;
        let number = |at: usize| head[at..at + 8].try_into().map(u64::from_le_bytes).expect("eight bytes");
        let name_len = number(16) as u32;
        let (name, rest) = rest.split_at_checked(name_len as usize)?;
        bytes = rest;
        Some(DirEntry { inode: number(8), kind: head[20], name })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> Vec<u8> {
        let mut bytes = vec![0; DIRENT_BYTES];
        bytes[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes
    }

    #[test]
    fn parts_are_those_of_the_whole() {
        let whole = ["a", "", "long name", "z"].map(entry).concat();
        let starts = [0, 25, 49, 82, 107];
        let listing = Listing::new(whole.clone(), true);
        for (cookie, start) in starts.into_iter().enumerate() {
            for len in [0, 1, 24, 30, 1000] {
                assert_eq!(listing.part(cookie as u64, len), Some(&whole[start..whole.len().min(start + len)]));
            }
        }
        assert_eq!(listing.part(u64::MAX, 10), Some(&[][..]));
        let cut = Listing::new(whole[..100].to_vec(), false);
        assert_eq!(cut.part(0, 82), Some(&whole[..82]));
        assert_eq!([cut.part(0, 83), cut.part(3, 1), cut.part(9, 1)], [None; 3], "the end is not known");
        assert_eq!(Listing::new(vec![0xff; 100], true).part(0, 10), Some(&[][..]));
    }

    #[test]
    fn the_bytes_of_all_listings_are_bounded() {
        let mut listings = Listings::default();
        let large = || Listing { bytes: vec![0; MAX_BYTES / 2], starts: Vec::new(), is_whole: true };
        listings.put(3, large());
        listings.put(4, large());
        assert!(listings.get(3).is_some() && listings.get(4).is_some());
        listings.put(5, Listing::new(entry("a"), true));
        assert!(listings.get(3).is_none() && listings.get(4).is_none() && listings.get(5).is_some());
        listings.forget(5);
        assert!(listings.get(5).is_none());
    }
}
