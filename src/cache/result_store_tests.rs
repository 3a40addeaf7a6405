//! Tests of a directory of results: damage, expiry, and what is removed when.

use std::fs::FileTimes;

use super::*;
use crate::private_files::ABANDONED_AFTER;
use crate::result::TaskStats;
use crate::{Status, Task, TaskError};

/// A cache of this size in a directory of its own, which lives as long as the first value.
fn store(size_bytes: u64, expires: Option<Duration>) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let settings = ResultCache { dir: dir.path().join("results"), size_bytes, expires };
    let store = Store::create(&settings).unwrap();
    (dir, store)
}

fn outcome(output: &[u8]) -> Outcome {
    let stats = TaskStats { start: SystemTime::now(), attempts: 1, ..TaskStats::default() };
    Outcome::new(0, Task::default(), Ok(output.into()), stats)
}

fn head(stored: SystemTime) -> Head {
    Head { module: "m.wasm".into(), function: "f".into(), stored }
}

fn put(store: &Store, key: u8, output: &[u8]) -> u64 {
    store.put(&[key; 32], &head(SystemTime::now()), &outcome(output)).unwrap()
}

fn get(store: &Store, key: u8) -> Option<Vec<u8>> {
    store.get(&[key; 32], SystemTime::now()).map(|finished| finished.result.unwrap().to_vec())
}

fn entry_path(store: &Store, key: u8) -> std::path::PathBuf {
    store.dir().join(name(&[key; 32], ENTRY))
}

fn age(path: &Path, age: Duration) {
    let times = FileTimes::new().set_modified(SystemTime::now() - age);
    std::fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn what_is_put_can_be_got_and_listed_and_cleared() {
    let (_dir, store) = store(1 << 20, None);
    assert!(get(&store, 1).is_none());
    put(&store, 1, b"one");
    assert_eq!(get(&store, 1).unwrap(), b"one");
    std::fs::write(store.dir().join("note.txt"), "not ours").unwrap();
    let list = store.list().unwrap();
    assert_eq!((list.len(), &*list[0].module, &*list[0].function), (1, "m.wasm", "f"));
    assert_eq!(store.clear().unwrap(), ClearedResults { entries: 1, size_bytes: list[0].size_bytes });
    assert!(get(&store, 1).is_none() && store.list().unwrap().is_empty());
    assert!(store.dir().join("note.txt").exists(), "a file that is not the cache's own was removed");
}

#[test]
fn failures_are_not_kept() {
    let (_dir, store) = store(1 << 20, None);
    let failed = Outcome { result: Err(TaskError::new(Status::Error, "bad")), ..outcome(b"") };
    assert_eq!(store.put(&[1; 32], &head(SystemTime::now()), &failed).unwrap(), 0);
    assert!(get(&store, 1).is_none());
}

#[test]
fn damaged_entries_are_removed_and_replaced() {
    let (_dir, store) = store(1 << 20, None);
    for damage in
        [&|bytes: &mut Vec<u8>| bytes.truncate(50), &|bytes: &mut Vec<u8>| bytes[30] ^= 1] as [&dyn Fn(&mut Vec<u8>); 2]
    {
        put(&store, 1, b"result");
        let path = entry_path(&store, 1);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        assert!(get(&store, 1).is_none());
        assert!(!path.exists(), "a damaged entry stayed");
    }
    put(&store, 1, b"result");
    std::fs::rename(entry_path(&store, 1), entry_path(&store, 2)).unwrap();
    assert!(get(&store, 2).is_none(), "the entry of another key was used");
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first() {
    // Room for three entries of a block each.
    let (_dir, store) = store(3 * BLOCK_BYTES, None);
    for key in 1..=3 {
        assert_eq!(put(&store, key, b"x"), BLOCK_BYTES);
        age(&entry_path(&store, key), MINUTE * (10 - u32::from(key)));
    }
    assert!(get(&store, 1).is_some(), "this use counts");
    put(&store, 4, b"x");
    assert!(store.make_room_after(BLOCK_BYTES, SystemTime::now()));
    let left = [1, 2, 3, 4].map(|key| entry_path(&store, key).exists());
    assert_eq!(left, [true, false, true, true]);
    assert_eq!(put(&store, 5, &[0; 3 * BLOCK_BYTES as usize]), 0, "one that is larger than all may be is not kept");
    assert!(get(&store, 5).is_none());
}

#[test]
fn the_directory_is_looked_through_once_in_a_while() {
    let (_dir, store) = store(1 << 20, None);
    let (now, part) = (SystemTime::now(), (1 << 20) / PART_OF_LIMIT);
    assert!(!store.make_room_after(part - 1, now) && store.make_room_after(part, now));
    std::fs::remove_file(store.dir().join(LAST_SWEEP)).unwrap();
    assert!(store.make_room_at_end(10, now), "that was never done");
    assert!(!store.make_room_at_end(10, now) && !store.make_room_at_end(part - 11, now));
    assert!(store.make_room_at_end(1, now), "much was written by three runs together");
    assert!(!store.make_room_at_end(10, now + MINUTE * 60 * 23));
    assert!(store.make_room_at_end(10, now + MINUTE * 60 * 25), "that was a day ago");
}

#[test]
fn results_expire_from_when_they_were_stored() {
    let (_dir, store) = store(1 << 20, Some(60 * MINUTE));
    let now = SystemTime::now();
    for (key, minutes) in [(1, 59), (2, 61)] {
        store.put(&[key; 32], &head(now - MINUTE * minutes), &outcome(b"x")).unwrap();
    }
    assert!(store.get(&[1; 32], now).is_some());
    assert!(store.get(&[2; 32], now).is_none(), "it was written now, but stored long ago");
    assert!(!entry_path(&store, 2).exists());
    put(&store, 3, b"x");
    age(&entry_path(&store, 3), 61 * MINUTE);
    store.make_room(now).unwrap();
    assert_eq!([1, 3].map(|key| entry_path(&store, key).exists()), [true, false]);
}

#[test]
fn abandoned_files_go_and_others_stay() {
    let (_dir, store) = store(1 << 20, None);
    let (old, new) = (store.dir().join(".new-1"), store.dir().join(".new-2"));
    std::fs::write(&old, "part").unwrap();
    std::fs::write(&new, "part").unwrap();
    age(&old, 2 * ABANDONED_AFTER);
    store.make_room(SystemTime::now()).unwrap();
    assert_eq!([old.exists(), new.exists()], [false, true]);
}

#[test]
fn hashes_of_files_are_remembered_for_one_state_and_range() {
    let (_dir, store) = store(1 << 20, None);
    let stamp = |size| Stamp::File(FileState { device: 1, inode: 2, size, modified: (3, 4), changed: (5, 6) });
    let hash = blake3::hash(b"x");
    store.remember(&stamp(10), (0, 5), &hash);
    store.remember(&Stamp::Sealed(1), (0, 5), &hash);
    assert_eq!(store.recall(&stamp(10), (0, 5)), Some(hash));
    for (stamp, range) in [(stamp(11), (0, 5)), (stamp(10), (1, 5)), (stamp(10), (0, 6)), (Stamp::Sealed(1), (0, 5))] {
        assert_eq!(store.recall(&stamp, range), None);
    }
    let path = store.dir().join(name(&range_key(&stamp(10), (0, 5)).unwrap(), HASH));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[0] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(store.recall(&stamp(10), (0, 5)), None);
    assert!(!path.exists());
}
