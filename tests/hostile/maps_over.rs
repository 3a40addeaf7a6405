//! Guests that map inputs and regions over memory where they must not, and what is left in that memory when a task ends.

use super::kit::{DATA, Says, WITH_DATA, act, check, guest};
use crate::cli::kit::{Place, objects};

const REGIONS: &[&str] = &["-i", "data=data", "--shared", "shared=shared:70000"];

#[test]
fn windows_lie_over_whole_pages_of_the_guests_own() {
    let trap = |call, says| act("maps_over", call, "trap", Says::Exactly(says)).with(WITH_DATA);
    check(&[
        trap(
            "inside a page",
            "input_map_at(0, 0, 1000, 0x21000): 0x21000 is not the address of a wasm page after the first one (a multiple of 64 KiB)",
        ),
        trap(
            "no address",
            "input_map_at(0, 0, 200000, 0x0): 0x0 is not the address of a wasm page after the first one (a multiple of 64 KiB)",
        ),
        trap(
            "beyond the end",
            "input_map_at(0, 0, 200000, 0x90000): the window covers 4 wasm pages there, which do not lie in memory",
        ),
        trap(
            "beyond all addresses",
            "input_map_at(0, 0, 200000, 0xffff0000): the window covers 4 wasm pages there, which do not lie in memory",
        ),
        trap(
            "a skewed end",
            "input_map_at(0, 1, 65536, 0xb0000): the window covers 2 wasm pages there, which do not lie in memory",
        ),
        trap("behind the input", "input_map_at(0, 1, 200000, 0x20000): the input has 200000 bytes"),
        trap("the data", "input_map_at(0, 0, 200000, 0x10000): the module's data segments lie there"),
        trap("one place twice", "input_map_at(0, 0, 200000, 0x20000): something that the host has mapped lies there"),
        trap(
            "overlapping windows",
            "input_map_at(0, 0, 65537, 0x40000): something that the host has mapped lies there",
        ),
        trap("a window of new pages", "input_map_at(0, 0, 1, 0xc0000): something that the host has mapped lies there"),
        trap(
            "pages that were given back",
            "input_map_at(0, 0, 1, 0xc0000): something that the host has mapped lies there",
        ),
        trap("the result", "input_map_at(0, 0, 1, 0xd0000): something that the host has mapped lies there"),
        trap("unmap inside", "input_unmap(0x30000): no window begins there"),
        trap("unmap twice", "input_unmap(0x20000): no window begins there"),
    ]);
    check(&[act(
        "maps_over",
        "too many",
        "limit",
        Says::Exactly("it has 4096 windows at a time, which is the limit; give some back"),
    )
    .with(&["-i", "data=data", "--memory", "1G", "--timeout", "20s"])]);
}

#[test]
fn nothing_writes_to_an_input_over_the_guests_own_memory() {
    const WROTE: Says = Says::Exactly("wrote to read-only input \"data\" at offset 0x40");
    const AT_START: Says = Says::Exactly("wrote to read-only input \"data\" at offset 0x0");
    const BEHIND: Says = Says::Exactly("wrote to read-only input \"data\" at offset 0x3ffff");
    let writes = [
        "i32.store",
        "i64.atomic.rmw.add",
        "memory.fill",
        "memory.copy",
        "memory.init",
        "arg_read",
        "input_read",
        "args_get",
        "random_get",
        "fd_filestat_get",
    ];
    let acts = writes.iter().map(|name| act("maps_over", name, "input-fault", WROTE).with(WITH_DATA));
    let others = [
        act("maps_over", "input_read, across the start", "input-fault", AT_START).with(WITH_DATA),
        act("maps_over", "a store behind the range", "input-fault", BEHIND).with(WITH_DATA),
        act("maps_over", "a store after memory.grow", "input-fault", AT_START).with(WITH_DATA),
    ];
    check(&acts.chain(others).collect::<Vec<_>>());
}

#[test]
fn a_region_lies_over_no_window() {
    let place = Place::new();
    place.file("data", DATA.repeat(20_000));
    let path = guest("maps_over");
    let start = ["map", path.to_str().expect("UTF-8"), "--json", "--call", "a region over a window"];
    let said = place.says(&[&start[..], REGIONS, &["attack", "control"]].concat());
    let ended = objects(&said.stdout);
    let error = "region_map_at(0, 0, 1, 0x50000): something that the host has mapped lies there";
    assert_eq!((&ended[0]["error"], &ended[1]["status"]), (&error.into(), &"ok".into()), "{said:?}");
}

/// Tasks end in every way, on one worker, each followed by one that checks its memory.
#[test]
fn the_next_task_finds_clean_memory() {
    let ways = [
        ("return", "ok"),
        ("unmap", "ok"),
        ("trap", "trap"),
        ("error", "error"),
        ("fault", "input-fault"),
        ("x: faults of the host", "input-fault"),
        ("grow", "ok"),
        ("windows", "ok"),
        ("slice", "ok"),
        ("loop", "timeout"),
    ];
    for options in
        [&[][..], &["--reuse"], &["--input-mode", "cow"], &["--input-mode", "cow", "--reuse"], &["--coredump", "dumps"]]
    {
        let place = Place::new();
        place.file("data", DATA.repeat(20_000));
        let path = guest("maps_over");
        let start = ["map", path.to_str().expect("UTF-8"), "--json", "-j", "1", "--call", "end"];
        let out = ["--out", "out", "--slice", "70000", "--timeout", "1s"];
        let items: Vec<&str> = ways.iter().flat_map(|(way, _)| [*way, "check"]).collect();
        let said = place.says(&[&start[..], REGIONS, &out, options, &items].concat());
        let ended = objects(&said.stdout);
        assert_eq!(ended.len(), items.len(), "{options:?}: {said:?}");
        let copies = options.contains(&"cow");
        for (pair, (way, status)) in ended.chunks(2).zip(ways) {
            let expected = if status == "input-fault" && copies { "ok" } else { status };
            assert_eq!(
                (&pair[0]["status"], &pair[1]["status"]),
                (&expected.into(), &"ok".into()),
                "{options:?} {way}: {pair:?}"
            );
        }
        for dump in std::fs::read_dir(place.path().join("dumps")).into_iter().flatten().flatten() {
            let dump = std::fs::read(dump.path()).expect("a core dump");
            assert!(dump.windows(4).any(|bytes| bytes == b"DATA"), "it has the task's memory");
            assert!(!dump.windows(20).any(|bytes| bytes == DATA.repeat(2).as_bytes()), "and nothing of a mapped input");
        }
        let slice = std::fs::read(place.path().join("out")).expect("the file");
        let own = &slice[16 * 70_000..17 * 70_000];
        assert!(own[..10].iter().all(|byte| *byte == 0) && own[10..].iter().all(|byte| *byte == b'S'), "{options:?}");
        assert!(slice[17 * 70_000..].iter().all(|byte| *byte == 0), "{options:?}: another task's slice");
        assert_eq!(std::fs::read(place.path().join("shared")).expect("the file")[7], b'S', "{options:?}");
        assert_eq!(std::fs::read(place.path().join("data")).expect("the file"), DATA.repeat(20_000).into_bytes());
    }
}
