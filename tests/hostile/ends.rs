//! Guests that do not end, or that recurse too deeply.

use super::kit::{Says, act, check};

const SHORT: &[&str] = &["--timeout", "150ms"];
/// Sleeps take no time unless tasks have the real clock.
const SHORT_REAL: &[&str] = &["--timeout", "150ms", "--clock"];
const LONG: &[&str] = &["--timeout", "20s"];
const TIMED_OUT: Says = Says::Begins("timed out after 150ms");

#[test]
fn what_never_ends_is_ended_at_its_time_limit() {
    check(&[
        act("endless", "loop", "timeout", TIMED_OUT).with_but(SHORT, LONG),
        act("endless", "bare loop", "timeout", TIMED_OUT).with_but(SHORT, LONG),
        act("endless", "host calls", "timeout", TIMED_OUT).with_but(SHORT, LONG),
        act("endless", "tail calls", "timeout", TIMED_OUT).with_but(SHORT, LONG),
        act("endless", "long instructions", "timeout", TIMED_OUT).with_but(SHORT, LONG),
        act("sleeps", "hours", "timeout", TIMED_OUT).with_but(SHORT_REAL, LONG),
        act("sleeps", "ever", "timeout", TIMED_OUT).with_but(SHORT_REAL, LONG),
        act("sleeps", "until far", "timeout", TIMED_OUT).with_but(SHORT_REAL, LONG),
        act("sleeps", "wall clock", "timeout", TIMED_OUT).with_but(SHORT_REAL, LONG),
        act("start_endless", "t", "timeout", TIMED_OUT).with_but(SHORT, LONG),
    ]);
}

const STACK: Says = Says::Exactly("it needs more stack than the limit of 65536 bytes; raise it with --stack");
const SMALL_STACK: &[&str] = &["--stack", "64K", "--timeout", "20s"];

#[test]
fn endless_recursion_ends_at_the_stacks_limit() {
    check(&[
        act("recursion", "direct", "limit", STACK).with(SMALL_STACK),
        act("recursion", "mutual", "limit", STACK).with(SMALL_STACK),
        act("recursion", "by table", "limit", STACK).with(SMALL_STACK),
        act("start_recursion", "t", "limit", STACK).with(SMALL_STACK),
    ]);
}

#[test]
fn the_largest_stack_is_the_guests_alone() {
    const LARGEST: Says = Says::Exactly("it needs more stack than the limit of 67108864 bytes; raise it with --stack");
    const OPTIONS: &[&str] = &["--stack", "64M", "--timeout", "20s"];
    check(&[act("recursion", "direct", "limit", LARGEST).with(OPTIONS)]);
}

#[test]
fn waiting_for_another_thread_is_a_trap() {
    check(&[act("waits", "wait", "trap", Says::Exactly("atomic wait on non-shared memory"))]);
}
