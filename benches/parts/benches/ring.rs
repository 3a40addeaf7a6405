//! The ring and the byte layouts, without processes: `cargo bench -p wrun-parts --bench ring`.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use wrun_ipc::Status;
use wrun_ipc::wire::{DoneSlot, InputRange, Payload, TaskSlot, WindowBytes};
use wrun_parts::journey::Journey;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    ring(&mut criterion);
    wire(&mut criterion);
    criterion.final_summary();
}

/// A task's round trip: push, publish, take, begin, finish, pop, release. Both sides run in one thread, so this is the time
/// of the instructions, without cache traffic between two processors.
fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring round trip");
    for (name, together, bytes) in [
        ("1 task, 16 bytes each way", 1, 16),
        ("64 tasks, 16 bytes each way", 64, 16),
        ("64 tasks, 4 KiB each way", 64, 4096),
        ("1 task, 64 KiB each way", 1, 64 << 10),
    ] {
        let mut journey = Journey::new(bytes, bytes);
        group.throughput(Throughput::Elements(together));
        group.bench_function(name, |bencher| bencher.iter(|| journey.go(together)));
    }
    group.finish();
}

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    let task = TaskSlot {
        ticket: 7,
        index: 8,
        payload: 9,
        payload_len: 10,
        input_count: 1,
        argument_is_file: false,
        after: 2,
        function: 3,
    };
    group.bench_function("task slot", |bencher| bencher.iter(|| TaskSlot::decode(&black_box(&task).encode())));
    let done = DoneSlot {
        ticket: 7,
        status: Status::Ok,
        setting: None,
        exit_code: 0,
        payload: Payload::Ring(77),
        output_len: 16,
        message_len: 0,
        backtrace_len: 0,
        log_len: 0,
        start_ns: 3,
        duration_ns: 4,
        fuel: 0,
        windows: WindowBytes::default(),
        peak_memory_bytes: 0,
        refused_memory_bytes: 0,
    };
    group.bench_function("completion slot", |bencher| bencher.iter(|| DoneSlot::decode(&black_box(&done).encode())));
    let range = InputRange { file: 5, offset: 1 << 30, len: 1 << 20 };
    let mut bytes = Vec::new();
    group.bench_function("input range", |bencher| {
        bencher.iter(|| {
            bytes.clear();
            black_box(&range).encode(&mut bytes);
            InputRange::decode(black_box(&bytes))
        });
    });
    group.finish();
}
