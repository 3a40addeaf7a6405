//! The words of a text, found eight bytes at a time.

/// One word: its bytes, and what a table needs to find it.
#[derive(Clone, Copy)]
pub struct Word<'a> {
    pub bytes: &'a [u8],
    /// The first eight bytes, first byte lowest; shorter words are padded with zeros.
    pub head: u64,
    pub hash: u64,
}

/// Calls `each` with every maximal run of ASCII letters and digits, in order.
pub fn for_each_word<'a>(text: &'a [u8], mut each: impl FnMut(Word<'a>)) {
    // The start of a word that continues into the next block.
    let mut open = None;
    for (block, base) in text.chunks(BLOCK_LEN).zip((0..).step_by(BLOCK_LEN)) {
        let is_word = word_bits(block);
        // A bit for each byte of another kind than the byte before it: words start and end there.
        let mut edges = is_word ^ (is_word << 1 | u64::from(open.is_some()));
        if let Some(start) = open {
            if edges == 0 {
                continue;
            }
            each(Word::at(text, start, base + take_lowest(&mut edges)));
            open = None;
        }
        while edges != 0 {
            let start = base + take_lowest(&mut edges);
            if edges == 0 {
                open = Some(start);
                break;
            }
            each(Word::at(text, start, base + take_lowest(&mut edges)));
        }
    }
    if let Some(start) = open {
        each(Word::at(text, start, text.len()));
    }
}

impl<'a> Word<'a> {
    /// The word that is `text[start..end]`.
    pub fn at(text: &'a [u8], start: usize, end: usize) -> Self {
        let bytes = &text[start..end];
        let len = bytes.len();
        if len > 8 {
            let (head, last) = (load(bytes), load(&bytes[len - 8..]));
            // All bytes go into the hash, the last ones perhaps twice.
            let middle = bytes[8..len - 1].chunks_exact(8).fold(head, |hash, chunk| mix(hash, load(chunk)));
            return Word { bytes, head, hash: finish(mix(middle, last)) };
        }
        // Reading past the word and dropping the excess is faster than a loop over the word.
        let head = match text.get(start..start + 8) {
            Some(bytes) if len > 0 => load(bytes) << (64 - 8 * len) >> (64 - 8 * len),
            _ => bytes.iter().rev().fold(0, |head, byte| head << 8 | u64::from(*byte)),
        };
        Word { bytes, head, hash: finish(mix(0, head)) }
    }

    /// Whether the two have the same bytes.
    pub fn is_same(&self, other: &Word) -> bool {
        // Words have no zero bytes, so the heads alone decide for words of up to eight bytes.
        self.head == other.head && self.bytes.get(8..) == other.bytes.get(8..)
    }
}

/// The first eight bytes of at least eight, first byte lowest.
fn load(bytes: &[u8]) -> u64 {
    let head = bytes.first_chunk().expect("callers have at least eight bytes");
    u64::from_le_bytes(*head)
}

/// One step of FxHash: fast, and good enough for words that were not chosen to collide.
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// Moves the upper bits, which depend on all bytes, to where tables look.
fn finish(hash: u64) -> u64 {
    hash.rotate_left(26)
}

/// Removes the lowest set bit and returns its position.
fn take_lowest(bits: &mut u64) -> usize {
    let position = bits.trailing_zeros() as usize;
    *bits &= *bits - 1;
    position
}

/// The number of bits in a mask, one for each byte of a block.
const BLOCK_LEN: usize = 64;

/// A bit for each byte of a block, set for letters and digits; bits beyond the block's end are not set.
fn word_bits(block: &[u8]) -> u64 {
    let mut padded = [0; BLOCK_LEN];
    let block: &[u8; BLOCK_LEN] = match block.try_into() {
        Ok(block) => block,
        Err(_) => {
            padded[..block.len()].copy_from_slice(block);
            &padded
        }
    };
    let (eights, _) = block.as_chunks::<8>();
    eights.iter().rev().fold(0, |bits, eight| bits << 8 | word_bits_of_8(u64::from_le_bytes(*eight)))
}

/// The same for eight bytes at once, each in a lane of a number.
fn word_bits_of_8(bytes: u64) -> u64 {
    /// One in every lane.
    const ONES: u64 = 0x0101_0101_0101_0101;
    /// The top bit of every lane, where comparisons leave their results.
    const TOPS: u64 = 0x80 * ONES;
    // Additions cannot carry into the next lane: lanes are below 0x80, and the numbers added at most 0x80.
    let within = |lanes: u64, low: u8, high: u8| {
        (lanes + u64::from(0x80 - low) * ONES) & !(lanes + u64::from(0x7f - high) * ONES)
    };
    let low_bits = bytes & !TOPS;
    let digits = within(low_bits, b'0', b'9');
    let letters = within(low_bits | (0x20 * ONES), b'a', b'z');
    let tops = (digits | letters) & !bytes & TOPS;
    // The product moves the bit of lane i to bit 56 + i.
    (tops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[u8]) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        for_each_word(text, |word| words.push(word.bytes.to_vec()));
        words
    }

    #[test]
    fn every_byte_is_of_its_kind_in_every_lane() {
        for lane in 0..8 {
            for byte in 0..=u8::MAX {
                let bits = word_bits_of_8(u64::from(byte) << (8 * lane));
                assert_eq!(bits, u64::from(byte.is_ascii_alphanumeric()) << lane, "{byte} in lane {lane}");
                let bits = word_bits_of_8(!(0xff << (8 * lane)) | u64::from(byte) << (8 * lane));
                assert_eq!(bits, u64::from(byte.is_ascii_alphanumeric()) << lane, "{byte} in lane {lane} of 0xff");
            }
        }
    }

    #[test]
    fn words_are_those_of_a_plain_split() {
        // Words and gaps of all lengths around those of lanes and blocks, at all offsets.
        let mut text = Vec::new();
        for len in 0..200 {
            text.extend(std::iter::repeat_n(b'a' + (len % 26) as u8, len));
            text.extend(std::iter::repeat_n(b' ', 1 + (len * 7) % 150));
        }
        for start in 0..text.len().min(300) {
            for text in [&text[start..], &text[..text.len() - start]] {
                let expected: Vec<_> =
                    text.split(|b| *b == b' ').filter(|w| !w.is_empty()).map(<[u8]>::to_vec).collect();
                assert_eq!(words(text), expected);
            }
        }
    }

    #[test]
    fn a_word_is_the_same_wherever_it_stands() {
        for len in 1..40 {
            let word: Vec<u8> = (0..len).map(|n| b'a' + n % 26).collect();
            let mut longer = word.clone();
            longer.extend_from_slice(b" and more of it");
            let (a, b) = (Word::at(&word, 0, word.len()), Word::at(&longer, 0, word.len()));
            assert!(a.is_same(&b) && a.hash == b.hash && a.head == b.head, "{len} bytes");
            let c = Word::at(&word, 0, word.len() - 1);
            assert!(!a.is_same(&c), "{len} bytes and one less");
            assert!(len < 2 || a.hash != c.hash, "{len} bytes and one less");
        }
    }
}
