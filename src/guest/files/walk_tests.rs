use std::fs::File;
use std::sync::Arc;

use super::*;
use crate::guest::files::{Device, Mount, OwnFiles};
use crate::guest::open_files::GuestInput;

fn input() -> GuestInput {
    let file = Arc::new(File::open("/dev/null").unwrap());
    GuestInput { file, offset: 0, len: 7, immutable: false }
}

/// The tree of a task with these paths of an item and of granted directories.
fn own(item_path: &str, granted: &[&str]) -> Tree {
    let (own_inputs, shared) = ([input(), input()], input());
    let mounts = granted.iter().zip(3..).map(|(guest_path, descriptor)| Mount { guest_path, descriptor }).collect();
    let item_path = Some(item_path);
    let inputs = vec![("data", &shared), ("1", &shared)];
    OwnFiles { own_inputs: &own_inputs, item_path, inputs, scratch_bytes: 1 << 20, mounts, root_has_tmp: false, now: 0 }
        .tree()
        .0
}

fn root(granted: Option<u32>) -> Base {
    Base { node: NodeId::ROOT, granted }
}

/// Where a path leads from the root, in short.
fn leads(tree: &Tree, path: &str) -> String {
    match tree.walk(root(None), path, Last::Follow) {
        Ok(Walked::Itself(..)) => "itself".into(),
        Ok(Walked::Entry { node: None, name, .. }) => format!("no {name}"),
        Ok(Walked::Entry { node: Some(node), .. }) => match tree.kind(node) {
            Kind::Directory(_) => "directory".into(),
            Kind::Input { index, .. } => format!("input {index}"),
            Kind::Device(device) => format!("{device:?}"),
            other => format!("{other:?}"),
        },
        Ok(Walked::Granted(number, path)) => format!("{number}: {path}"),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn an_item_stands_where_its_argument_says() {
    for (item, paths) in [
        ("x.py", &["x.py", "./x.py", "tmp/../x.py", ".//x.py", "../x.py"][..]),
        ("/srv/u/x.py", &["srv/u/x.py", "srv/./u/x.py", "srv/u/../u/x.py"]),
        ("//snips/01.py", &["snips/01.py"]),
        ("a/../b", &["b", "a/../b"]),
        ("../up/x.py", &["../up/x.py", "up/x.py", "up/../../up/x.py"]),
        ("tmp/x.py", &["tmp/x.py"]),
        ("in", &["in"]),
        ("in/data", &["in/data"]),
    ] {
        let tree = own(item, &[]);
        for path in paths {
            assert_eq!(leads(&tree, path), "input 0", "{item}: {path}");
        }
    }
    for no_file in ["", "/", ".", "..", "a/", "a/..", &"n".repeat(256), &"d/".repeat(2100), "a\0b"] {
        let tree = own(no_file, &[]);
        let names: Vec<_> = tree.list(NodeId::ROOT, 0).map(|(_, name, _)| name).collect();
        assert_eq!(names, ["in", "dev", "tmp"], "{no_file:?}");
    }
}

#[test]
fn inputs_and_devices_have_their_places() {
    let tree = own("x", &[]);
    for (path, what) in [
        ("in/data", "input 2"),
        ("in/0", "input 0"),
        ("in/1", "input 3"),
        ("in/2", "no 2"),
        ("dev/null", "Null"),
        ("dev/stderr", "Stream(2)"),
        ("dev/stdin/", "NotDirectory"),
        ("dev/stdin/x", "NotDirectory"),
        ("tmp", "directory"),
        ("tmp/", "directory"),
        ("tmp/.", "itself"),
        ("tmp/..", "itself"),
        ("no/x", "NoEntry"),
        ("..", "NotPermitted"),
        ("../no", "NotPermitted"),
        ("../../tmp", "directory"),
        ("/tmp", "NotPermitted"),
        ("", "NoEntry"),
        ("in/\0", "Invalid"),
    ] {
        assert_eq!(leads(&tree, path), what, "{path}");
    }
    assert_eq!(leads(&tree, &"n".repeat(256)), "NameTooLong");
    assert_eq!(leads(&tree, &"./".repeat(2048)), "NameTooLong");
    assert_eq!(leads(&tree, &"./".repeat(2047)), "itself");
    assert!(Device::Null != Device::Stream(0));
}

#[test]
fn paths_that_are_not_the_tasks_go_to_granted_directories() {
    let tree = own("data/x.py", &["/d", "."]);
    let leads = |path: &str| match tree.walk(root(Some(4)), path, Last::Follow).unwrap() {
        Walked::Granted(number, path) => format!("{number}: {path}"),
        Walked::Entry { behind: Some((number, path)), .. } => format!("ours, before {number}: {path}"),
        Walked::Itself(_, behind) => format!("{behind:?}"),
        Walked::Entry { name, .. } => name,
    };
    assert_eq!(leads("a"), "4: a");
    assert_eq!(leads("./tmp/.././a/../b/"), "4: a/../b/");
    assert_eq!(leads("data"), "ours, before 4: data");
    assert_eq!(leads("data/x.py"), "x.py");
    assert_eq!(leads("data/y.py"), "4: data/y.py");
    assert_eq!(leads("data/.."), "Some((4, \".\"))");
    assert_eq!(leads("d/a/b"), "3: a/b");
    assert_eq!(leads("d"), "ours, before 3: .");
    assert_eq!(leads("d/../a"), "4: a");
    assert_eq!(leads("../a"), "4: ../a", "for the granted directory to refuse");
    assert_eq!(leads("tmp/a"), "a");
    let tree = own("tmp/x.py", &["/tmp"]);
    assert_eq!(super::tests::leads(&tree, "tmp/y"), "3: y", "the grant has precedence");
    assert_eq!(super::tests::leads(&tree, "tmp/x.py"), "input 0");
}

#[test]
fn links_lead_on_but_not_out_nor_forever() {
    let mut tree = own("x", &[]);
    let tmp = tree.child(NodeId::ROOT, "tmp").unwrap();
    for (name, target) in [
        ("up", "../x"),
        ("loop", "loop"),
        ("out", "../../x"),
        ("absolute", "/x"),
        ("dir", "."),
        ("none", "missing"),
        ("long", &"./".repeat(2000)),
    ] {
        tree.create(tmp, name, Kind::Link(target.into()), 0).unwrap();
    }
    for (path, what) in [
        ("tmp/up", "input 0"),
        ("tmp/dir/dir/up", "input 0"),
        ("tmp/up/", "NotDirectory"),
        ("tmp/dir/", "itself"),
        ("tmp/loop", "Loop"),
        ("tmp/out", "input 0"),
        ("tmp/absolute", "NotPermitted"),
        ("tmp/none", "no missing"),
        ("tmp/long/long/long/up", "input 0"),
        (&format!("tmp/{}up", "dir/".repeat(39)), "input 0"),
        (&format!("tmp/{}up", "dir/".repeat(40)), "Loop"),
    ] {
        assert_eq!(leads(&tree, path), what, "{path}");
    }
    let within = tree.walk(Base { node: tmp, granted: None }, "up", Last::Follow);
    assert_eq!(within, Err(FileError::NotPermitted), "a path does not leave the directory in which it begins");
    assert!(matches!(tree.walk(root(None), "tmp/loop", Last::Keep), Ok(Walked::Entry { node: Some(_), .. })));
}
