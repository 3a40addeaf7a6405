//! Guests that write too much.

use super::kit::{Says, act, check, guest};
use crate::cli::kit::{Place, Said, objects};

#[test]
fn a_result_ends_at_its_limit_however_it_is_written() {
    const MIB: &[&str] = &["--max-output", "1M", "--timeout", "20s"];
    const LONG: Says =
        Says::Exactly("its result is longer than the limit of 1048576 bytes; raise it with --max-output");
    const ADDRESSES: Says = Says::Begins("output_map: no room for a window of ");
    check(&[
        act("floods", "output_write", "limit", LONG).with(MIB),
        act("floods", "output_write, a byte at a time", "limit", LONG).with(MIB),
        act("floods", "output_map", "limit", LONG).with(MIB),
        // If the limit is above 4 GiB, the addresses run out first.
        act("floods", "output_map", "limit", ADDRESSES).with(&["--max-output", "5G", "--timeout", "20s"]),
        act("floods", "standard output", "limit", LONG).with(MIB),
    ]);
}

fn flood(task: &str, options: &[&str]) -> Said {
    let place = Place::new();
    let path = guest("floods");
    let start = ["map", path.to_str().expect("UTF-8"), "--call", task, "x", "--timeout", "20s"];
    place.says(&[&start[..], options].concat())
}

#[test]
fn what_is_kept_of_logs_and_messages_is_bounded() {
    const KEPT: usize = 64 << 10;
    for task in ["log", "standard error"] {
        let said = flood(task, &[]);
        assert_eq!(said.code, Some(0), "{task}");
        // Each line is prefixed with the task's name, so even an empty line takes some bytes.
        assert!((100..4 * KEPT).contains(&said.stderr.len()), "{task}: {} bytes", said.stderr.len());
    }
    assert!(flood("log", &[]).stderr.contains(" more log lines ("), "missing lines are reported");
    let said = flood("fail", &["--json"]);
    let message = objects(&said.stdout)[0]["error"].as_str().expect("a message").to_owned();
    assert_eq!((said.code, message.len()), (Some(100), KEPT));
    assert!(message.bytes().all(|byte| byte == b'x'));
    assert!(said.stderr.len() < 2 * KEPT, "{} bytes", said.stderr.len());
}
