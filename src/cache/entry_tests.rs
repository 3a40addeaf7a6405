//! Tests that results are read as written, and that damage is detected.

use std::io::Read;

use super::*;
use crate::Task;
use crate::private_files::PrivateFiles;
use crate::result::Level;

fn outcome(output: Vec<u8>) -> Outcome {
    let stats = TaskStats {
        start: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
        duration: Duration::from_micros(7),
        worker: 3,
        attempts: 2,
        fuel: Some(5),
        ..TaskStats::default()
    };
    let log = vec![LogLine::new(Level::Info, "hello"), LogLine::new(Level::Error, "")];
    Outcome {
        index: 0,
        task: Task::default(),
        result: Ok(output.into()),
        log,
        stderr: b"careful \xff".to_vec(),
        exit_code: Some(10),
        stats,
        ran_earlier: false,
        earlier: Vec::new(),
    }
}

fn head() -> Head {
    let stored = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    Head { module: "m.wasm".into(), function: "f".into(), stored }
}

/// The bytes of an entry of key 1.
fn entry(outcome: &Outcome) -> Vec<u8> {
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
    let files = PrivateFiles::open(dir.path()).unwrap();
    let output = outcome.result.as_ref().unwrap();
    let beginning = beginning(&head(), outcome, output).unwrap();
    let expected = size(&beginning, output);
    files.write("entry", |file| write(file, &[1; 32], beginning, output)).unwrap();
    let mut bytes = Vec::new();
    files.file("entry").unwrap().0.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, expected);
    bytes
}

fn read_bytes(bytes: &[u8], key: &[u8; 32]) -> Result<(Head, Finished), EntryError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    read(&file, bytes.len() as u64, key)
}

#[test]
fn entries_are_read_as_they_were_written() {
    for len in [0, 1, 100, 4000, INLINE_MAX_BYTES, INLINE_MAX_BYTES + 1, 3 << 20] {
        let outcome = outcome((0..len).map(|at| (at % 251) as u8).collect());
        let bytes = entry(&outcome);
        let (found, finished) = read_bytes(&bytes, &[1; 32]).unwrap();
        assert_eq!((found, finished.log), (head(), outcome.log.clone()));
        assert_eq!((&finished.stderr, finished.exit_code), (&outcome.stderr, outcome.exit_code));
        let output = finished.result.unwrap();
        assert!(output == *outcome.result.as_ref().unwrap(), "{len}");
        assert_eq!(output.as_input().is_some(), len > INLINE_MAX_BYTES, "a large one is in sealed memory");
        assert_eq!(finished.stats, TaskStats { attempts: 1, cached: true, ..outcome.stats });
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        assert_eq!(read_head(&file, bytes.len() as u64).unwrap(), head());
    }
}

#[test]
fn an_entry_that_is_damaged_anywhere_is_not_read() {
    for len in [40, INLINE_MAX_BYTES + 40] {
        let whole = entry(&outcome(vec![7; len]));
        let damaged = |bytes: &[u8]| matches!(read_bytes(bytes, &[1; 32]), Err(EntryError::Damaged));
        for at in (0..300).chain(whole.len() - 100..whole.len()).filter(|at| *at < whole.len()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            assert!(damaged(&bytes), "byte {at} of {}", whole.len());
        }
        for end in (0..200).chain(whole.len() - 100..whole.len()).filter(|end| *end < whole.len()) {
            assert!(damaged(&whole[..end]), "cut off at {end} of {}", whole.len());
        }
        assert!(damaged(&[&whole[..], b"x"].concat()));
        assert!(damaged(&vec![0; whole.len()]));
        assert!(matches!(read_bytes(&whole, &[2; 32]), Err(EntryError::Damaged)), "the entry of another key");
        assert!(read_bytes(&whole, &[1; 32]).is_ok());
    }
}
