//! One large table that many workers search (`examples/shared_object.rs`): they find the right rows and do not copy it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::docs::examples::program;
use crate::support::{self, stderr, stdout};

const DIM: usize = 64;
const TABLE_BYTES: usize = 64 << 20;
const WORKERS: usize = 4;

/// SplitMix64's number after `seed`, as the example computes it.
fn random(seed: u64) -> f32 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z >> 40) as f64 / f64::from(1 << 24)) as f32
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

#[test]
fn workers_search_one_table_and_have_no_copy_of_it() {
    let table: Vec<f32> = (0..TABLE_BYTES as u64 / 4).map(|n| random(n * 3 + 1)).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("table.f32");
    fs::write(&path, table.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()).expect("a file");

    let output = program("shared_object", &[path.to_str().expect("UTF-8"), &WORKERS.to_string()]);
    fs::remove_file(&path).expect("the file of this test");
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stdout(&output);
    let said: BTreeMap<&str, &str> = said.lines().map(|line| line.split_once(": ").expect("a value")).collect();

    assert_eq!(said["table"], format!("64 MiB, searched by {WORKERS} workers"));
    for k in 0..4 * WORKERS {
        let query: Vec<f32> = (0..DIM).map(|n| random(u64::MAX - (k * DIM + n) as u64)).collect();
        let row = said[format!("query {k}").as_str()].strip_prefix("row ").and_then(|row| row.parse::<usize>().ok());
        let found = distance(&table[row.expect("a row") * DIM..][..DIM], &query);
        let least = table.chunks(DIM).map(|row| distance(row, &query)).fold(f64::INFINITY, f64::min);
        // The guest adds in a different order and with lower precision.
        assert!(found <= least * 1.00001, "query {k}: {row:?} is {found} away, and another row only {least}");
    }

    let mib = |name: &str| said[name].split_once(" MiB").and_then(|(mib, _)| mib.parse::<f64>().ok()).expect("MiB");
    let own = mib("private memory of all workers");
    assert!(own > 0.1 && own < 24.0, "{WORKERS} workers have {own} MiB of private memory");
    assert!(mib("private memory of this process") < 24.0);
}

#[test]
fn the_program_says_what_it_needs() {
    let error = stderr(&program("shared_object", &[]));
    assert_eq!(error, "Error: give a number of MiB, or a file of rows of 64 little-endian f32\n");
    let small = support::file(b"too short");
    let error = stderr(&program("shared_object", &[small.path().to_str().expect("UTF-8"), "1"]));
    assert_eq!(error, "Error: the table has no rows\n");
}
