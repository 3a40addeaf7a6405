use super::super::error::FileError;
use super::super::space::NAME_BYTES;
use super::*;

const NOW: u64 = 5;

/// A tree with a scratch directory.
fn tree(space: u64) -> (Tree, NodeId) {
    let mut tree = Tree::new(space, NOW);
    let tmp = tree.fix(NodeId::ROOT, "tmp", Kind::Directory(Directory::default()));
    tree.make_scratch(tmp);
    (tree, tmp)
}

fn file() -> Kind {
    Kind::File(Contents::default())
}

fn directory() -> Kind {
    Kind::Directory(Directory::default())
}

#[test]
fn everything_that_was_taken_is_given_back() {
    let (mut tree, tmp) = tree(1 << 20);
    let inner = tree.create(tmp, "inner", directory(), NOW).unwrap();
    let a = tree.create(inner, "a", file(), NOW).unwrap();
    tree.write(a, 10_000, b"x", NOW).unwrap();
    tree.link(a, tmp, "another name", NOW).unwrap();
    tree.create(tmp, "link", Kind::Link("inner/a".into()), NOW).unwrap();
    tree.rename((inner, "a"), (tmp, "a much longer name"), NOW).unwrap();
    tree.rename((tmp, "another name"), (tmp, "b"), NOW).unwrap();
    tree.rename((tmp, "link"), (inner, "b"), NOW).unwrap();
    assert!(tree.space.used() > 0);
    tree.open(a);
    tree.unlink(tmp, "a much longer name", NOW).unwrap();
    tree.unlink(tmp, "b", NOW).unwrap();
    assert_eq!(tree.stat(a).len, 10_001, "it is open");
    assert_eq!(tree.stat(a).names, 0);
    tree.close(a);
    assert_eq!(tree.remove_directory(tmp, "inner", NOW), Err(FileError::NotEmpty));
    tree.unlink(inner, "b", NOW).unwrap();
    tree.remove_directory(tmp, "inner", NOW).unwrap();
    assert_eq!((tree.space.used(), tree.is_full()), (0, false));
    assert_eq!(tree.list(tmp, 0).count(), 0);
}

#[test]
fn nodes_and_names_take_space() {
    let (mut tree, tmp) = tree(64 << 10);
    let made = (0..).take_while(|number| tree.create(tmp, &number.to_string(), file(), NOW).is_ok()).count();
    assert_eq!(made, (64 << 10) / 515, "512 bytes each, and a name of three");
    assert!(tree.is_full());
    assert_eq!(tree.create(tmp, "x", file(), NOW), Err(FileError::NoSpace));
    let node = tree.child(tmp, "0").unwrap();
    let links = (1000..).take_while(|number| tree.link(node, tmp, &number.to_string(), NOW).is_ok()).count();
    assert!(links <= 2, "a name takes less than a file, but not nothing");
    tree.unlink(tmp, "1", NOW).unwrap();
    assert_eq!(tree.link(node, tmp, "x", NOW), Ok(()));
}

/// What is counted must be at least what the tree really takes of this process's memory.
#[test]
fn the_count_covers_the_memory() {
    assert!(
        size_of::<Option<Node>>() * 2 <= NODE_BYTES as usize,
        "vectors grow by doubling: {}",
        size_of::<Option<Node>>()
    );
    // A B-tree's node has room for 11 entries, and at least 5 of them are taken.
    let entry = (size_of::<Arc<str>>() + size_of::<Entry>() + size_of::<u64>() + size_of::<Arc<str>>()) * 11 / 5;
    let counts_and_rounding = 2 * size_of::<usize>() + 16;
    assert!(
        entry + counts_and_rounding <= NAME_BYTES as usize + (NODE_BYTES as usize - 2 * size_of::<Node>()),
        "{entry}"
    );
}

#[test]
fn a_listing_neither_repeats_nor_misses_names() {
    let (mut tree, tmp) = tree(1 << 20);
    for name in ["c", "a", "b", "d"] {
        tree.create(tmp, name, file(), NOW).unwrap();
    }
    let (next, first, _) = tree.list(tmp, 0).next().unwrap();
    assert_eq!((next, first), (1, "c"), "in the order in which they were made");
    tree.unlink(tmp, "c", NOW).unwrap();
    tree.unlink(tmp, "b", NOW).unwrap();
    tree.create(tmp, "e", file(), NOW).unwrap();
    let rest: Vec<&str> = tree.list(tmp, next).map(|(_, name, _)| name).collect();
    assert_eq!(rest, ["a", "d", "e"]);
}

#[test]
fn a_directory_does_not_move_into_itself() {
    let (mut tree, tmp) = tree(1 << 20);
    let a = tree.create(tmp, "a", directory(), NOW).unwrap();
    let b = tree.create(a, "b", directory(), NOW).unwrap();
    assert_eq!(tree.rename((tmp, "a"), (b, "c"), NOW), Err(FileError::Invalid));
    assert_eq!(tree.rename((tmp, "a"), (a, "c"), NOW), Err(FileError::Invalid));
    assert_eq!(tree.rename((a, "b"), (tmp, "a"), NOW), Err(FileError::NotEmpty));
    assert_eq!(tree.rename((a, "b"), (tmp, "b"), NOW), Ok(()));
    assert_eq!(tree.rename((tmp, "a"), (b, "a"), NOW), Ok(()));
}

#[test]
fn what_the_task_finds_cannot_be_changed() {
    let (mut tree, tmp) = tree(1 << 20);
    let fixed = tree.fix(tmp, "fixed", Kind::Device(Device::Null));
    for result in [
        tree.unlink(tmp, "fixed", NOW),
        tree.rename((tmp, "fixed"), (tmp, "x"), NOW),
        tree.remove_directory(NodeId::ROOT, "tmp", NOW).map_err(|_| FileError::ReadOnly),
        tree.create(NodeId::ROOT, "x", file(), NOW).map(drop),
        tree.set_times(fixed, None, None, NOW),
        tree.set_times(NodeId::ROOT, None, None, NOW),
    ] {
        assert_eq!(result, Err(FileError::ReadOnly));
    }
    assert_eq!(tree.link(fixed, tmp, "x", NOW), Err(FileError::CrossDevice));
    tree.create(tmp, "x", file(), NOW).unwrap();
    assert_eq!(tree.rename((tmp, "x"), (tmp, "fixed"), NOW), Err(FileError::ReadOnly));
    assert_eq!(tree.set_times(tmp, Some(1), None, NOW), Ok(()));
}

#[test]
fn nothing_is_made_in_a_directory_that_was_removed() {
    let (mut tree, tmp) = tree(1 << 20);
    let gone = tree.create(tmp, "gone", directory(), NOW).unwrap();
    tree.open(gone);
    tree.remove_directory(tmp, "gone", NOW).unwrap();
    assert_eq!(tree.create(gone, "x", file(), NOW), Err(FileError::NoEntry));
    tree.close(gone);
    assert_eq!(tree.space.used(), 0);
}

/// A task may nest directories as deep as its space allows.
#[test]
fn deep_directories_are_no_danger() {
    let (mut tree, tmp) = tree(32 << 20);
    let mut here = tmp;
    let mut depth = 0;
    while let Ok(inner) = tree.create(here, "d", directory(), NOW) {
        (here, depth) = (inner, depth + 1);
    }
    assert!(depth > 60_000, "{depth}");
    drop(tree);
}
