//! Guests that attack before their task is called.

use super::kit::{Says, WITH_DATA, act, check, map_outputs};

#[test]
fn what_fails_before_the_task_is_called_is_the_tasks_failure() {
    const UNREACHABLE: Says = Says::Exactly("wasm `unreachable` instruction executed");
    check(&[
        act("start_traps", "t", "trap", UNREACHABLE),
        act("initialize_traps", "t", "trap", UNREACHABLE),
        act("start_exits", "t", "error", Says::Exactly("exited with code 0 before it returned")),
        act("initialize_exits", "t", "error", Says::Exactly("exited with code 3")),
        act("start_calls", "t", "input-fault", Says::Exactly("wrote to read-only input \"data\" at offset 0x0"))
            .with(WITH_DATA),
    ]);
}

#[test]
fn calls_before_the_memory_is_known_find_it() {
    assert_eq!(map_outputs("start_calls", "t", WITH_DATA, &["control", "control"]), ["0123456789"; 2]);
}
