//! Runs the ring's hot path, to count its instructions (`make callgrind`): `wrun-hot-path TASKS`.
//!
//! Each task has one input range, an argument of 16 bytes and a result of 16 bytes; 64 tasks run at a time.

use wrun_parts::journey::Journey;

/// Tasks at a time.
const TOGETHER: u64 = 64;

fn main() {
    let tasks: u64 =
        std::env::args().nth(1).and_then(|word| word.parse().ok()).expect("the number of tasks as the argument");
    let mut journey = Journey::new(16, 16);
    for _ in 0..tasks / TOGETHER {
        journey.go(TOGETHER);
    }
}
