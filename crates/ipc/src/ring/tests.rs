//! Tests of the ring, both sides in one process.

use super::*;

fn pair() -> (PoolRing, WorkerRing) {
    let (file, pool) = PoolRing::new().expect("memory for a ring");
    (pool, WorkerRing::map(&file).expect("the same memory"))
}

#[test]
fn tasks_and_completions_travel_in_order_around_the_ring_many_times() {
    let (mut pool, mut worker) = pair();
    let (mut sent, mut finished, mut received) = (0u64, 0u64, 0u64);
    let mut payload = Vec::new();
    while received < 5000 {
        while sent < 5000 {
            let bytes = vec![sent as u8; (sent as usize * 37) % 50_000];
            if !pool.has_room(bytes.len()).expect("an honest worker") {
                break;
            }
            pool.push(TaskSlot::plain(sent), &bytes);
            sent += 1;
        }
        let _ = pool.publish();
        while let Some(slot) = worker.take(&mut payload) {
            assert_eq!(slot.ticket, finished);
            assert_eq!(payload.len(), (finished as usize * 37) % 50_000);
            assert!(payload.iter().all(|&byte| byte == finished as u8));
            worker.begin(slot.ticket, 1);
            if worker.has_room(payload.len()) {
                let (a, b) = payload.split_at(payload.len() / 2);
                let _ = worker.finish(DoneSlot::ok(slot.ticket, payload.len() as u64), &[a, b]);
            } else {
                let _ = worker.finish_with_file(DoneSlot::ok(slot.ticket, payload.len() as u64));
            }
            finished += 1;
            if finished % 7 == 0 {
                break;
            }
        }
        let mut output = Vec::new();
        while let Some(slot) = pool.pop(&mut output).expect("an honest worker") {
            assert_eq!(slot.ticket, received);
            if slot.payload != Payload::File {
                assert_eq!(output.len(), (received as usize * 37) % 50_000);
                assert!(output.iter().all(|&byte| byte == received as u8));
            }
            output.clear();
            received += 1;
        }
        pool.release();
    }
}

#[test]
fn a_revoked_task_is_skipped_and_a_taken_one_cannot_be_revoked() {
    let (mut pool, mut worker) = pair();
    let positions: Vec<u64> = (0..3).map(|ticket| pool.push(TaskSlot::plain(ticket), b"")).collect();
    let _ = pool.publish();
    let mut payload = Vec::new();
    assert_eq!(worker.take(&mut payload).expect("a task").ticket, 0);
    assert!(!pool.revoke(positions[0]));
    assert!(pool.revoke(positions[1]));
    assert_eq!(worker.take(&mut payload).expect("a task").ticket, 2);
    assert_eq!(worker.take(&mut payload), None);
}

#[test]
fn a_full_ring_takes_no_more_until_the_worker_took_some() {
    let (mut pool, mut worker) = pair();
    for ticket in 0..SLOTS as u64 {
        assert!(pool.has_room(0).expect("honest"));
        pool.push(TaskSlot::plain(ticket), b"");
    }
    assert!(!pool.has_room(0).expect("honest"));
    let _ = pool.publish();
    worker.take(&mut Vec::new()).expect("a task");
    assert!(pool.has_room(0).expect("honest"));
}

#[test]
fn who_sleeps_is_woken_once() {
    let (mut pool, mut worker) = pair();
    assert!(worker.fall_asleep());
    pool.push(TaskSlot::plain(0), b"");
    assert!(pool.publish());
    pool.push(TaskSlot::plain(1), b"");
    assert!(!pool.publish(), "it was woken already");
    assert!(!worker.fall_asleep(), "there are tasks");
    worker.awake();

    assert!(pool.fall_asleep(2));
    assert!(!worker.finish(DoneSlot::ok(0, 0), &[]), "the pool waits for two");
    assert!(worker.finish(DoneSlot::ok(1, 0), &[]));
    assert!(!worker.finish(DoneSlot::ok(2, 0), &[]), "it was woken already");
    assert!(!pool.fall_asleep(2), "two are there");
    assert!(worker.pool_waits());
    assert!(!worker.pool_waits());
}

#[test]
fn impossible_positions_are_violations() {
    let (mut pool, worker) = pair();
    worker.memory.word(DONE_TAIL).store(SLOTS as u64 + 1, Ordering::Release);
    assert!(pool.pop(&mut Vec::new()).is_err());
    let (mut pool, worker) = pair();
    for ticket in 0..SLOTS as u64 {
        pool.push(TaskSlot::plain(ticket), b"");
    }
    worker.memory.word(TASK_HEAD).store(SLOTS as u64 + 1, Ordering::Release);
    assert!(pool.has_room(0).is_err());
}

#[test]
fn impossible_payloads_are_violations() {
    for (status, position, len) in [(200, 0, 0), (0, u64::MAX, 2), (0, 0, 1 << 40), (0, DONE_AREA_BYTES as u64 - 1, 2)]
    {
        let (mut pool, worker) = pair();
        write_slot(&worker.memory, DONE_SLOTS, 0, &[0, status, position, len, 0, 0, 0, 0]);
        worker.memory.word(DONE_TAIL).store(1, Ordering::Release);
        assert!(pool.pop(&mut Vec::new()).is_err(), "{status} {position} {len}");
    }
}
