//! Word count without wrun: the guest's own algorithm, compiled for this machine.
#![expect(unsafe_code, reason = "maps a file, as programs without wrun do")]

use std::fs::File;
use std::io::{Read, stdin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;

use crate::Outcome;
use crate::table::Table;

/// Counts pieces of about `piece_bytes` that end at a line's end, on plain threads over one mapping.
pub fn count(path: &str, piece_bytes: usize, threads: usize) -> Outcome {
    // SAFETY: nobody changes the file in the meantime: it belongs to the benchmark.
    let map = unsafe { Mmap::map(&File::open(path)?)? };
    let pieces = pieces(&map, piece_bytes);
    let (next, tables) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // `Relaxed` is enough for a counter; the lock orders the tables.
                while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let table = Table::of_text(piece).to_bytes();
                    tables.lock().expect("nobody panicked").push(table);
                }
            });
        }
    });
    merged(&tables.into_inner()?)
}

/// Counts one piece from standard input, for `parallel --pipe-part`.
pub fn count_stdin() -> Outcome {
    Ok(String::from_utf8(Table::of_text(&read_stdin()?).to_bytes())?)
}

/// Merges concatenated tables from standard input.
pub fn merge_stdin() -> Outcome {
    merged(&[read_stdin()?])
}

fn read_stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn merged(tables: &[Vec<u8>]) -> Outcome {
    let mut merged = Table::default();
    tables.iter().try_for_each(|table| merged.add_table(table))?;
    Ok(String::from_utf8(merged.to_bytes())?)
}

fn pieces(text: &[u8], piece_bytes: usize) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let from = piece_bytes.min(rest.len());
        let line = rest[from..].iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| from + at + 1);
        let (piece, after) = rest.split_at(line);
        pieces.push(piece);
        rest = after;
    }
    pieces
}
