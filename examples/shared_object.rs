//! One large table in memory, searched by many workers without a copy in any of them: `examples/shared-object/README.md`.
//!
//!     cargo run --release --example shared_object -- MIB|FILE [WORKERS]

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroUsize;

use anyhow::{Context, ensure};
use wrun::{Input, Job, Module, Pool};

const MODULE: &str = "examples/guests/target/wasm/nearest.wasm";

/// A row of the table has 64 numbers of 4 bytes.
const ROW_BYTES: u64 = 256;

fn main() -> anyhow::Result<()> {
    wrun::init();
    let mut words = std::env::args().skip(1);
    let table = words.next().context("give a number of MiB, or a file of rows of 64 little-endian f32")?;
    let workers: NonZeroUsize = words.next().as_deref().unwrap_or("8").parse().context("a number of workers")?;

    // Bytes in memory are made an input once; a file already is one.
    let table = match table.parse::<usize>() {
        Ok(mib) => Input::from_bytes("table", &random_bytes(mib << 20))?,
        Err(_) => Input::open(&table)?,
    };
    let rows = table.len() / ROW_BYTES;
    ensure!(rows > 0, "the table has no rows");

    let job = Job::new(&Module::from_file(MODULE)?).input("table", table.clone());
    let mut pool = Pool::builder().workers(workers).build()?;
    let queries = (0..4 * workers.get() as u64).map(|k| query(k).to_vec());
    let mut used = BTreeSet::new();
    let mut most = Memory::default();
    for outcome in pool.map(&job, queries)? {
        // Measured now, while the other workers search.
        most = most.or_larger(children()?);
        used.insert(outcome.stats.worker);
        println!("query {}: row {}", outcome.index, String::from_utf8_lossy(&outcome.result?));
    }

    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("table: {} MiB, searched by {} workers", table.len() >> 20, used.len());
    println!("private memory of all workers: {:.1} MiB", mib(most.own));
    println!("file memory mapped by all workers: {:.1} MiB", mib(most.mapped));
    println!("private memory of this process: {:.1} MiB", mib(Memory::of("self")?.own));
    Ok(())
}

/// Query `k`: 64 numbers from 0 to 1, like those of the table.
fn query(k: u64) -> [u8; ROW_BYTES as usize] {
    let mut query = [0; ROW_BYTES as usize];
    for (n, place) in query.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        *place = number(u64::MAX - k * 64 - n as u64);
    }
    query
}

fn random_bytes(len: usize) -> Vec<u8> {
    (0..len as u64 / 4).flat_map(number).collect()
}

/// A number from 0 to 1 that looks random: SplitMix64.
fn number(seed: u64) -> [u8; 4] {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z >> 40) as f32 / (1 << 24) as f32).to_le_bytes()
}

/// Memory of processes in bytes (proc(5), `smaps_rollup`).
#[derive(Default)]
struct Memory {
    /// Private memory, which belongs to no file.
    own: u64,
    /// Mapped pages of files and memory files, which all processes share.
    mapped: u64,
}

impl Memory {
    fn of(process: &str) -> anyhow::Result<Memory> {
        let path = format!("/proc/{process}/smaps_rollup");
        let rollup = fs::read_to_string(&path).context(path)?;
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name)).context("a line of smaps_rollup")?;
            anyhow::Ok(line.trim_end_matches("kB").trim().parse::<u64>()? << 10)
        };
        let own = bytes("Anonymous:")?;
        Ok(Memory { own, mapped: bytes("Rss:")? - own })
    }

    fn or_larger(self, other: Memory) -> Memory {
        Memory { own: self.own.max(other.own), mapped: self.mapped.max(other.mapped) }
    }
}

/// The memory of all child processes of this one, which are its workers.
fn children() -> anyhow::Result<Memory> {
    let mut sum = Memory::default();
    for thread in fs::read_dir("/proc/self/task")? {
        for pid in fs::read_to_string(thread?.path().join("children"))?.split_whitespace() {
            let worker = Memory::of(pid)?;
            sum = Memory { own: sum.own + worker.own, mapped: sum.mapped + worker.mapped };
        }
    }
    Ok(sum)
}
