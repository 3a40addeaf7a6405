//! Guests that play tricks with their results.

use super::kit::{Says, WITH_DATA, act, check, map_outputs};

#[test]
fn nothing_is_shown_of_the_result_of_a_task_that_fails_after_it() {
    const UNREACHABLE: Says = Says::Exactly("wasm `unreachable` instruction executed");
    const STACK: Says = Says::Exactly("it needs more stack than the limit of 1048576 bytes; raise it with --stack");
    let wrote = Says::Exactly("wrote to read-only input \"data\" at offset 0x0");
    check(&[
        act("half_done", "traps", "trap", UNREACHABLE).with(WITH_DATA),
        act("half_done", "returns 7", "error", Says::Exactly("the task function returned 7")).with(WITH_DATA),
        act("half_done", "exits 3", "error", Says::Exactly("exited with code 3")).with(WITH_DATA),
        act("half_done", "exits 0", "error", Says::Exactly("exited with code 0 before it returned")).with(WITH_DATA),
        act("half_done", "loops", "timeout", Says::Begins("timed out after 150ms"))
            .with_but(&["--timeout", "150ms"], WITH_DATA),
        act("half_done", "recurses", "limit", STACK).with(WITH_DATA),
        act("half_done", "writes to its input", "input-fault", wrote).with(WITH_DATA),
        act("half_done", "traps with a mapped result", "trap", UNREACHABLE).with(WITH_DATA),
    ]);
    assert_eq!(map_outputs("half_done", "traps", &[], &["control"]), ["cont"], "the control has a result");
}

#[test]
fn a_mapped_result_is_its_own_pages_and_no_more() {
    const AROUND: Says = Says::Exactly("it used memory outside of its windows, or a window that it gave back");
    check(&[
        act("result_tricks", "written behind its last page", "trap", AROUND),
        act("result_tricks", "filled to the end of the area", "trap", AROUND),
        act("result_tricks", "given back", "trap", Says::Exactly("input_unmap(0x20000): no window begins there")),
        act("result_tricks", "mapped twice", "trap", Says::Exactly("output_map(4097): the task has a result already")),
        act(
            "result_tricks",
            "mapped after output",
            "trap",
            Says::Exactly("output_map(4097): the task has a result already"),
        ),
        act(
            "result_tricks",
            "output after it was mapped",
            "trap",
            Says::Exactly("output_write(0x0, 1): the result is what output_map gave; write it there"),
        ),
    ]);
}

#[test]
fn windows_never_come_to_lie_over_memory_or_a_result() {
    let results = map_outputs("mixed_memory", "t", WITH_DATA, &["x", "x"]);
    assert!(results.iter().all(|result| *result == "R".repeat(100_000)), "the result is what was written");
}
