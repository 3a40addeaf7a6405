//! Guests that exceed their limits.

use super::kit::{Says, WITH_DATA, act, check};

#[test]
fn memories_and_tables_end_at_one_limit() {
    const MIB: &[&str] = &["--memory", "1M", "--timeout", "20s"];
    const PAGE_MORE: Says =
        Says::Exactly("it needs 1114112 bytes of memory, and the limit is 1048576 bytes; raise it with --memory");
    check(&[
        act("grows", "pages", "limit", PAGE_MORE).with(MIB),
        act(
            "grows",
            "at once",
            "limit",
            Says::Exactly(
                "it needs 4293984256 bytes of memory, and the limit is 1048576 bytes; raise it with --memory",
            ),
        )
        .with(MIB),
        act("grows", "memories", "limit", PAGE_MORE).with(MIB),
        act(
            "grows",
            "tables",
            "limit",
            Says::Exactly("it needs 1049536 bytes of memory, and the limit is 1048576 bytes; raise it with --memory"),
        )
        .with(MIB),
        act(
            "large_memory",
            "t",
            "limit",
            Says::Exactly(
                "it needs 268500992 bytes of memory, and the limit is 268435456 bytes; raise it with --memory",
            ),
        )
        .allowed_by(&["--memory", "257M"]),
        act("data_outside", "t", "trap", Says::Exactly("out of bounds memory access"))
            .never_allowed("the module itself says how large its memory is"),
    ]);
}

#[test]
fn windows_are_limited_in_number_and_by_addresses() {
    const MANY: Says = Says::Exactly("it has 4096 windows at a time, which is the limit; give some back");
    const ADDRESSES: Says = Says::Begins("input_map: no room for a window of ");
    check(&[
        act("windows", "many", "limit", MANY).with(WITH_DATA),
        act("windows", "all addresses", "limit", ADDRESSES).with(&["-i", "data=data", "--memory", "5G"]),
    ]);
}
