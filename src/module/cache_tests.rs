//! Tests of what the cache of compiled modules withstands.

use std::fs::FileTimes;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::module::artifact::tests::meta;
use crate::private_files::ABANDONED_AFTER;
use crate::sys::private_dir::owned_by_us;

/// A cache in a directory of its own, which lives as long as the first value.
fn cache() -> (tempfile::TempDir, Cache) {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::create(&dir.path().join("made/by/cache")).unwrap();
    (dir, cache)
}

/// A compiled form with this code.
fn compiled(code: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(code).unwrap();
    artifact::write_trailer(&mut file, code.len() as u64, 0, &meta("m.wasm")).unwrap();
    file
}

/// The entry with this key, made by the compiler `c`.
fn get(cache: &Cache, key: &str) -> Option<(File, Meta)> {
    match cache.get(key, "c") {
        Found::Code(file, meta) => Some((file, *meta)),
        Found::Nothing | Found::Damaged => None,
    }
}

fn key(digit: char) -> String {
    std::iter::repeat_n(digit, 64).collect()
}

fn entry_path(cache: &Cache, digit: char) -> PathBuf {
    cache.dir().join(entry_name(&key(digit)))
}

#[test]
fn what_is_put_can_be_got_and_listed_and_cleared() {
    let (_dir, cache) = cache();
    assert!(get(&cache, &key('a')).is_none());
    cache.put(&key('a'), &compiled(b"code")).unwrap();
    let (file, found) = get(&cache, &key('a')).unwrap();
    assert_eq!(found, meta("m.wasm"));
    let mut code = Vec::new();
    std::io::Read::read_to_end(&mut &file, &mut code).unwrap();
    assert!(code.starts_with(b"code"));

    std::fs::write(cache.dir().join("note.txt"), "not ours").unwrap();
    let list = cache.list().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!((&*list[0].module, list[0].size_bytes, list[0].current), ("m.wasm", code.len() as u64, false));
    assert_eq!(cache.clear().unwrap(), Cleared { entries: 1, size_bytes: code.len() as u64 });
    assert!(cache.list().unwrap().is_empty());
    assert!(cache.dir().join("note.txt").exists(), "a file that is not the cache's own was removed");
}

#[test]
fn code_of_another_compiler_is_not_used() {
    let (_dir, cache) = cache();
    cache.put(&key('a'), &compiled(b"code")).unwrap();
    assert!(matches!(cache.get(&key('a'), "another"), Found::Damaged));
}

#[test]
fn truncated_entry_is_not_used_and_is_replaced() {
    let (_dir, cache) = cache();
    cache.put(&key('a'), &compiled(&[7; 10_000])).unwrap();
    let file = File::options().write(true).open(entry_path(&cache, 'a')).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    assert!(matches!(cache.get(&key('a'), "c"), Found::Damaged));
    assert!(matches!(cache.get(&key('a'), "c"), Found::Nothing), "it was removed");
    assert!(cache.list().unwrap().is_empty());
    cache.put(&key('a'), &compiled(&[7; 10_000])).unwrap();
    assert!(get(&cache, &key('a')).is_some());
}

/// Lets the time pass within which a file's state may come again.
fn settle(cache: &Cache) {
    file_clock::wait(file_clock::granule(&File::open(entry_path(cache, 'a')).unwrap()));
}

fn is_marked(cache: &Cache) -> bool {
    let state = FileState::of(&entry_path(cache, 'a').metadata().unwrap());
    cache.is_marked(&key('a'), &state)
}

/// Flips a bit of the entry and reads it; its time of last use stays.
fn damage(cache: &Cache, at: u64) -> Found {
    let file = File::options().read(true).write(true).open(entry_path(cache, 'a')).unwrap();
    let used = file.metadata().unwrap().modified().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
    file.set_modified(used).unwrap();
    cache.get(&key('a'), "c")
}

#[test]
fn a_damaged_entry_is_removed_whether_or_not_it_was_checked_before() {
    let (_dir, cache) = cache();
    for len in [1000, UNMARKED_BYTES as usize + 1] {
        let len_of_entry = || entry_path(&cache, 'a').metadata().unwrap().len();
        for checked in [false, true] {
            for part in [0, 2, 3] {
                cache.put(&key('a'), &compiled(&vec![7; len])).unwrap();
                settle(&cache);
                if checked {
                    assert!(get(&cache, &key('a')).is_some());
                    assert_eq!(is_marked(&cache), len as u64 > UNMARKED_BYTES);
                }
                settle(&cache);
                let found = damage(&cache, (len_of_entry() - 1) * part / 3);
                assert!(matches!(found, Found::Damaged), "part {part} of {len} bytes");
                assert_eq!(std::fs::read_dir(cache.dir()).unwrap().count(), 0, "entry and mark are gone");
            }
        }
    }
}

#[test]
fn large_entry_is_read_once_for_each_state_of_its_file() {
    let (_dir, cache) = cache();
    cache.put(&key('a'), &compiled(&vec![7; UNMARKED_BYTES as usize])).unwrap();
    assert!(get(&cache, &key('a')).is_some() && !is_marked(&cache), "a file that has just changed may change again");
    settle(&cache);
    assert!(get(&cache, &key('a')).is_some() && is_marked(&cache));
    // A use much later changes its times.
    let file = File::options().write(true).open(entry_path(&cache, 'a')).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert!(!is_marked(&cache));
    assert!(get(&cache, &key('a')).is_some() && is_marked(&cache), "the state that this use gave it is known");
    // Marks go with their entries and are none.
    assert_eq!(cache.list().unwrap().len(), 1);
    std::fs::write(cache.dir().join(mark_name(&key('a'))), "cut").unwrap();
    assert!(!is_marked(&cache) && get(&cache, &key('a')).is_some());
    assert_eq!(cache.clear().unwrap().entries, 1);
    assert_eq!(std::fs::read_dir(cache.dir()).unwrap().count(), 0);
}

#[test]
fn concurrent_writers_never_show_a_part_of_an_entry() {
    let (_dir, cache) = cache();
    let code = vec![7; 3 << 20];
    cache.put(&key('a'), &compiled(&code)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    // Each with a descriptor of its own, as separate processes would have.
                    let cache = Cache::create(cache.dir()).unwrap();
                    for _ in 0..5 {
                        cache.put(&key('a'), &compiled(&code)).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (file, _) = get(&cache, &key('a')).expect("the entry is there all the time");
                let mut read = vec![0; code.len()];
                std::os::unix::fs::FileExt::read_exact_at(&file, &mut read, 0).unwrap();
                assert!(read == code, "an entry with other bytes was seen");
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    // The entry, and perhaps its mark.
    cache.each(|found| assert!(!found.is_temporary(), "{} was left behind", found.name)).unwrap();
}

#[test]
fn directory_is_made_private() {
    let (_dir, cache) = cache();
    let mode = cache.dir().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn directory_that_others_can_write_is_refused() {
    let private = PermissionsExt::from_mode(0o700);
    let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
    assert!(Cache::open(dir.path()).unwrap().is_some(), "a private directory is accepted");
    for mode in [0o720, 0o702, 0o777, 0o1777] {
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).unwrap();
        for error in [Cache::open(dir.path()).map(drop).unwrap_err(), Cache::create(dir.path()).map(drop).unwrap_err()]
        {
            let text = error.to_string();
            assert!(text.contains("can be written by other users") && text.contains("0700"), "{text}");
        }
    }
}

#[test]
fn directory_or_entry_of_another_user_is_refused() {
    // Only root can change a directory's owner; others use one that belongs to somebody else.
    if !owned_by_us(&Path::new("/").metadata().unwrap()) {
        let error = Cache::open("/").unwrap_err().to_string();
        assert!(error.contains("belongs to another user (uid 0)"), "{error}");
        return;
    }
    let (_dir, cache) = cache();
    cache.put(&key('a'), &compiled(b"code")).unwrap();
    std::os::unix::fs::chown(entry_path(&cache, 'a'), Some(65534), None).unwrap();
    assert!(get(&cache, &key('a')).is_none(), "an entry that belongs to another user was used");
    std::os::unix::fs::chown(cache.dir(), Some(65534), None).unwrap();
    let error = Cache::open(cache.dir()).unwrap_err().to_string();
    assert!(error.contains("belongs to another user (uid 65534)"), "{error}");
}

#[test]
fn what_is_no_directory_is_refused_and_what_is_missing_is_not_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Cache::open(dir.path().join("none")).unwrap().is_none());
    std::fs::write(dir.path().join("file"), "").unwrap();
    let error = Cache::open(dir.path().join("file")).unwrap_err().to_string();
    assert!(error.contains("cannot be used"), "{error}");
}

#[test]
fn entries_unused_for_long_and_abandoned_files_go_when_another_entry_comes() {
    let (_dir, cache) = cache();
    let age = |path: &Path, age| {
        let times = FileTimes::new().set_modified(SystemTime::now() - age);
        File::options().write(true).open(path).unwrap().set_times(times).unwrap();
    };
    for digit in ['a', 'b', 'c'] {
        cache.put(&key(digit), &compiled(b"code")).unwrap();
    }
    let (old_temporary, new_temporary) = (cache.dir().join(".new-1"), cache.dir().join(".new-2"));
    std::fs::write(&old_temporary, "part").unwrap();
    std::fs::write(&new_temporary, "part").unwrap();
    age(&old_temporary, 2 * ABANDONED_AFTER);
    age(&entry_path(&cache, 'a'), 2 * UNUSED_AFTER);
    age(&entry_path(&cache, 'b'), 2 * UNUSED_AFTER);
    assert!(get(&cache, &key('b')).is_some(), "and this use counts");
    cache.put(&key('d'), &compiled(b"code")).unwrap();
    let left = |digit| entry_path(&cache, digit).exists();
    assert_eq!([left('a'), left('b'), left('c'), left('d')], [false, true, true, true]);
    assert_eq!([old_temporary.exists(), new_temporary.exists()], [false, true]);
}
