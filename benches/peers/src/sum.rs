//! The sum of a file of `f64` by plain threads over one mapping.
#![expect(unsafe_code, reason = "maps a file, as programs without wrun do")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;
use serde_json::json;

use crate::Outcome;

/// Writes a file of numbers whose sum is exact in any order: the whole numbers below 1000, again and again.
pub fn make_numbers(path: &str, mib: u64) -> Outcome {
    let mut file = BufWriter::new(File::create(path)?);
    for number in 0..mib << 17 {
        file.write_all(&((number % 1000) as f64).to_le_bytes())?;
    }
    file.into_inner()?.sync_all()?;
    Ok(String::new())
}

/// Cuts the file in `slices`, which threads take as they come to them.
pub fn sum(path: &str, slices: usize, threads: usize) -> Outcome {
    // SAFETY: nobody changes the file meanwhile: it belongs to the benchmark.
    let map = unsafe { Mmap::map(&File::open(path)?)? };
    let len = map.len() / slices;
    assert_eq!(map.len(), len * slices, "slices of one length");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut total = 0.0;
        loop {
            // Only the number matters; threads are joined before the sum is read.
            let slice = next.fetch_add(1, Ordering::Relaxed);
            if slice >= slices {
                return total;
            }
            total += sum_of(&map[slice * len..][..len]);
        }
    };
    let total: f64 = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().map(|thread| thread.join().expect("a loop that does not panic")).sum()
    });
    Ok(json!({ "sum": total }).to_string())
}

/// Eight sums at a time, as `sum.wat` has them.
fn sum_of(bytes: &[u8]) -> f64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    assert!(rest.is_empty(), "a multiple of 64 bytes");
    let mut sums = [0.0; 8];
    for block in blocks {
        let (numbers, _) = block.as_chunks::<8>();
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += f64::from_le_bytes(*number);
        }
    }
    sums.iter().sum()
}
