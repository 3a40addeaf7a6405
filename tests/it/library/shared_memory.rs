//! Shared memory that all tasks of a job write at the same time: `--shared`.

use wrun::{Job, SharedMemory, Status, Task};

use crate::support::{each, failed, file, patient, pool, result_words, rust_guest, task_module};

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn no_update_of_four_workers_is_lost() {
    let [count, down, half] = [(); 3].map(|()| SharedMemory::in_memory(8).unwrap());
    let bins = SharedMemory::in_memory(16 * 8).unwrap();
    let job = Job::new(&rust_guest("probe")).call("add_up").limits(patient());
    let job = job.shared("count", count.clone()).shared("down", down.clone());
    let job = job.shared("half", half.clone()).shared("bins", bins.clone());
    // Four kinds of updates, 10 million in all.
    let (tasks, times) = (20, 125_000);
    let ended: Vec<_> = pool(4).map(&job, (0..tasks).map(|_| Task::from(times))).unwrap().collect();
    assert!(ended.iter().all(|outcome| outcome.result.is_ok()), "{:?}", ended[0].result);
    let total = tasks * times;
    assert_eq!(numbers(&count.read(0..8).unwrap()), [total]);
    assert_eq!(down.read(0..8).unwrap(), (-(total as i64)).to_le_bytes());
    assert_eq!(half.read(0..8).unwrap(), (total as f64 / 2.0).to_le_bytes());
    let bins = numbers(&bins.read(0..128).unwrap());
    assert!(bins.iter().sum::<u64>() == total && bins.iter().all(|bin| bin.abs_diff(total / 16) <= tasks), "{bins:?}");
}

#[test]
fn shared_memory_is_found_by_name_and_mapped_in_parts() {
    let module = task_module(
        "1",
        r#"(data (i32.const 64) "ab") (data (i32.const 80) "c")
        (func (export "wrun:task/find") (result i32) (local $at i32)
            (call $put (call $region_count))
            (call $put (call $region_find (i32.const 64) (i32.const 2)))
            (call $put (call $region_find (i32.const 80) (i32.const 1)))
            (call $put (call $region_find (i32.const 64) (i32.const 1)))
            (call $put (call $region_find (i32.const 64) (i32.const 0)))
            (local.set $at (call $region_map (i32.const 1) (i64.const 5000) (i32.const 3000)))
            (i32.store8 (local.get $at) (i32.const 7))
            (drop (i32.atomic.rmw.add offset=2996 (local.get $at) (i32.const 1)))
            (i32.const 0))
        (func (export "wrun:task/behind") (result i32)
            (i32.store8 offset=8192 (call $region_map (i32.const 1) (i64.const 0) (i32.const 8000)) (i32.const 7)) (i32.const 0))"#,
    );
    let (first, second) = (file(b"first"), file(b"second"));
    let shared = [SharedMemory::create(first.path(), 10).unwrap(), SharedMemory::create(second.path(), 8000).unwrap()];
    let job = Job::new(&module).shared("ab", shared[0].clone()).shared("c", shared[1].clone()).limits(patient());
    let ended = each(&job.clone().call("find"), 0..50);
    ended.iter().for_each(|outcome| assert_eq!(result_words(outcome), [2, 0, 1, u32::MAX, u32::MAX]));
    let bytes = std::fs::read(second.path()).unwrap();
    assert_eq!((bytes.len(), bytes[5000], bytes[7996], &bytes[..6]), (8000, 7, 50, &b"second"[..]));
    assert_eq!(std::fs::read(first.path()).unwrap(), b"first\0\0\0\0\0");
    assert_eq!(failed(&each(&job.call("behind"), 0..1)[0]).0, Status::Trap);
}

#[test]
fn impossible_shared_memory_is_refused() {
    let long = file(&[1; 5000]);
    let error = SharedMemory::create(long.path(), 100).unwrap_err().to_string();
    assert!(
        error.contains("ends inside a page") && error.ends_with("share all of them, or a multiple of 4096"),
        "{error}"
    );
    assert_eq!(SharedMemory::create(long.path(), 4096).unwrap().read(0..2).unwrap(), [1, 1]);
    let memory = SharedMemory::in_memory(8).unwrap();
    assert!(memory.read(0..9).is_err() && SharedMemory::in_memory(0).is_err());
    let job = Job::new(&rust_guest("probe")).call("add_up").shared("a", memory.clone()).shared("a", memory);
    let error = pool(1).map(&job, 0..1).map(drop).unwrap_err();
    assert_eq!(error.to_string(), r#"there are two shared memories named "a""#);
}

#[test]
fn shared_memory_that_somebody_else_truncates_is_an_error_at_the_end() {
    let module = task_module(
        "1",
        r#"(func (export "wrun:task/one") (result i32)
            (i32.store8 (call $region_map (i32.const 0) (i64.const 0) (i32.const 1)) (i32.const 1)) (i32.const 0))"#,
    );
    let memory = file(&[]);
    let job = Job::new(&module).shared("m", SharedMemory::create(memory.path(), 4096).unwrap()).limits(patient());
    let mut pool = pool(1);
    let mut run = pool.map(&job, 0..1).unwrap();
    assert!(run.next().unwrap().result.is_ok());
    memory.as_file().set_len(0).unwrap();
    let error = format!("{:?}", run.finish().unwrap_err());
    assert!(error.ends_with("it was truncated to 0 bytes while tasks used it, and what they wrote is lost"), "{error}");
}
