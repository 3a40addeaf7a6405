//! Runs the ring's hot path, for counting its instructions (`make callgrind`): `wrun-hot-path TASKS`.
//!
//! A task with one input range, an argument of 16 bytes and a result of 16 bytes, 64 tasks at a time.

use wrun_parts::journey::Journey;

/// Tasks at a time.
const TOGETHER: u64 = 64;

fn main() {
    let tasks: u64 = std::env::args().nth(1).and_then(|word| word.parse().ok()).expect("how many tasks");
    let mut journey = Journey::new(16, 16);
    for _ in 0..tasks / TOGETHER {
        journey.go(TOGETHER);
    }
}
