//! Guests whose allocator takes all memory for its own, windows included.

use super::kit::{DATA, guest};
use super::slices::TOOK;
use crate::cli::kit::{Place, objects};

/// Runs the attack and the control of a task, with these options. Returns the attack's status and message; checks the control's bytes.
#[track_caller]
fn attack(call: &str, options: &[&str]) -> (String, String) {
    let place = Place::new();
    place.file("data", DATA.repeat(20_000));
    let path = guest("greedy");
    let start = ["map", path.to_str().expect("UTF-8"), "--json", "-j", "1", "--memory", "64M", "--call", call];
    let said = place.says(&[&start[..], options, &["control", "attack", "control"]].concat());
    let ended = objects(&said.stdout);
    assert_eq!(ended.len(), 3, "{call} {options:?}: {said:?}");
    for control in [&ended[0], &ended[2]] {
        assert_eq!(control["status"], "ok", "{call} {options:?}: {control}");
        let output = control["output"].as_str().unwrap_or_default();
        assert!(!output.contains('X'), "{call} {options:?}: the control's result");
    }
    assert!(ended[1].get("output").is_none(), "{call} {options:?}: the attack has a result");
    if let Ok(out) = std::fs::read(place.path().join("out")) {
        let (first, last) = (&out[..65536], &out[2 * 65536..3 * 65536]);
        assert!(first.iter().chain(last).all(|byte| *byte == b'1'), "{call} {options:?}: the controls' slices");
        assert!(out[65536..2 * 65536].iter().all(|byte| *byte == 0), "{call} {options:?}: the attack's slice");
    }
    let text = |field: &str| ended[1][field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("error"))
}

const ALLOCATORS: [&str; 3] = ["counter", "list", "doubling"];

#[test]
fn an_allocator_that_takes_a_window_fails_its_task() {
    for allocator in ALLOCATORS {
        let input = format!("input, {allocator}");
        let (status, message) = attack(&input, &["-i", "data=data"]);
        assert_eq!(status, "input-fault", "{input}: {message}");
        assert!(message.starts_with("wrote to read-only input \"data\" at offset "), "{input}: {message}");
        let (status, message) = attack(&input, &["-i", "data=data", "--input-mode", "cow"]);
        assert_eq!((&*status, &*message), ("trap", TOOK), "{input}, copy on write");

        let result = format!("result, {allocator}");
        assert_eq!(attack(&result, &[]), ("trap".into(), TOOK.into()), "{result}");

        let region = format!("region, {allocator}");
        let (status, message) = attack(&region, &["--out", "out", "--slice", "64K"]);
        assert!(status == "trap" && message.starts_with(TOOK), "{region}: {message}");
        let (status, message) = attack(&region, &["--shared", "shared=shared:64K"]);
        assert_eq!((&*status, &*message), ("trap", TOOK), "{region}, shared");
    }
}
