//! Sums a file of `f64` with plain threads over one mapping.
#![expect(unsafe_code, reason = "maps a file, as programs without wrun do")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;
use serde_json::json;

use crate::Outcome;

/// Writes a file of numbers whose sum is exact in any order: the integers below 1000, repeated.
pub fn make_numbers(path: &str, mib: u64) -> Outcome {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..mib << 17 {
        file.write_all(&((number % 1000) as f64).to_le_bytes())?;
    }
    file.into_inner()?.sync_all()?;
    Ok(String::new())
}

/// Splits the file into `slices`, which threads take one at a time.
pub fn sum(path: &str, slices: usize, threads: usize) -> Outcome {
    // SAFETY: nobody changes the file in the meantime: it belongs to the benchmark.
    let map = unsafe { Mmap::map(&File::open(path)?)? };
    let len = map.len() / slices;
    assert_eq!(map.len(), len * slices, "the slices must have the same length");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut total = 0.0;
        loop {
            // `Relaxed` is enough for a counter; threads are joined before the sum is read.
            let slice = next.fetch_add(1, Ordering::Relaxed);
            if slice >= slices {
                return total;
            }
            total += sum_of(&map[slice * len..][..len]);
        }
    };
    let total: f64 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("the loop does not panic")).sum()
    });
    Ok(json!({ "sum": total }).to_string())
}

/// Adds up eight sums at a time, like `sum.wat`.
fn sum_of(bytes: &[u8]) -> f64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    assert!(rest.is_empty(), "the slice must be a multiple of 64 bytes");
    let mut sums = [0.0; 8];
    for block in blocks {
        let (numbers, _) = block.as_chunks::<8>();
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += f64::from_le_bytes(*number);
        }
    }
    sums.iter().sum()
}
