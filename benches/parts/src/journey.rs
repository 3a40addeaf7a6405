//! Tasks on their way from a pool to a worker and back, with both sides in one thread: nobody sleeps or is woken.

use std::hint::black_box;

use wrun_ipc::Status;
use wrun_ipc::ring::{PoolRing, WorkerRing};
use wrun_ipc::wire::{DoneSlot, InputRange, Payload, TaskSlot, WindowBytes};

/// Both sides of a ring.
pub struct Journey {
    pool: PoolRing,
    worker: WorkerRing,
    next_ticket: u64,
    /// The bytes of the task's input ranges and argument.
    payload: Vec<u8>,
    /// Where the worker and the pool copy to.
    taken: Vec<u8>,
    popped: Vec<u8>,
    result: Vec<u8>,
}

impl Journey {
    /// Tasks with one input range, and an argument and a result of these lengths in bytes.
    pub fn new(argument_len: usize, result_len: usize) -> Journey {
        let (file, pool) = PoolRing::new().expect("memory for a ring");
        let worker = WorkerRing::map(&file).expect("the same memory");
        let mut payload = Vec::new();
        InputRange { file: 1, offset: 1 << 20, len: 1 << 20 }.encode(&mut payload);
        payload.resize(payload.len() + argument_len, b'a');
        let (taken, popped) = (Vec::with_capacity(payload.len()), Vec::with_capacity(result_len));
        Journey { pool, worker, next_ticket: 1, payload, taken, popped, result: vec![b'r'; result_len] }
    }

    /// Makes `tasks` tasks do the round trip together: the pool pushes all and publishes once, as a dispatcher does.
    pub fn go(&mut self, tasks: u64) {
        for ticket in self.next_ticket..self.next_ticket + tasks {
            assert!(self.pool.has_room(self.payload.len()).expect("a well-behaved worker"), "too many tasks at a time");
            let slot = TaskSlot {
                ticket,
                index: ticket,
                payload: 0,
                payload_len: 0,
                input_count: 1,
                argument_is_file: false,
                after: 1,
                function: 0,
            };
            self.pool.push(slot, &self.payload);
        }
        // Nobody sleeps, so there is nobody to wake.
        let _ = self.pool.publish();
        while let Some(task) = self.worker.take(&mut self.taken) {
            self.worker.begin(task.ticket, task.ticket);
            black_box(InputRange::decode(&self.taken));
            let done = DoneSlot {
                ticket: task.ticket,
                status: Status::Ok,
                setting: None,
                exit_code: 0,
                payload: Payload::File,
                output_len: self.result.len() as u64,
                message_len: 0,
                backtrace_len: 0,
                log_len: 0,
                start_ns: 1,
                duration_ns: 1,
                fuel: 0,
                windows: WindowBytes::default(),
                peak_memory_bytes: 0,
                refused_memory_bytes: 0,
            };
            assert!(self.worker.has_room(self.result.len()), "too many results at a time");
            let _ = self.worker.finish(done, &[&self.result]);
        }
        for ticket in self.next_ticket..self.next_ticket + tasks {
            self.popped.clear();
            let done = self.pool.pop(&mut self.popped).expect("a well-behaved worker").expect("each task has ended");
            assert_eq!((done.ticket, self.popped.len()), (ticket, self.result.len()));
        }
        self.pool.release();
        self.next_ticket += tasks;
    }
}
