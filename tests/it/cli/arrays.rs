//! NumPy arrays and Arrow record batches, with the command and the example guests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::NamedTempFile;
use wrun::Input;

use crate::support::{guest, run, stderr, stdout};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A `.npy` file of `f64`.
fn array(shape: &str, numbers: impl Iterator<Item = f64>) -> NamedTempFile {
    let file = tempfile::Builder::new().suffix(".npy").tempfile().expect("a file");
    let header = format!("{:117}\n", format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"));
    let mut bytes = [b"\x93NUMPY\x01\x00\x76\x00", header.as_bytes()].concat();
    bytes.extend(numbers.flat_map(f64::to_le_bytes));
    std::fs::write(file.path(), bytes).expect("room for a file");
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().expect("UTF-8")
}

/// A file written by NumPy.
fn numpy(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/data/npy").join(name)
}

fn numpy_path(name: &str) -> String {
    numpy(name).to_str().expect("UTF-8").to_owned()
}

fn success(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    stdout(output)
}

#[test]
fn the_sum_of_rows_is_the_same_however_they_are_cut() {
    // Whole numbers, so that the order of additions does not matter.
    let file = array("(5000, 3)", (0..15_000).map(|n| f64::from((n * 7919) % 10_007)));
    let sums: Vec<f64> =
        (0..3).map(|column| (0..5000).map(|row| f64::from(((row * 3 + column) * 7919) % 10_007)).sum()).collect();
    let expected: String = sums.iter().fold("float64 [3]\n".to_owned(), |text, sum| text + &format!("{sum}\n"));
    let npy = guest("npy");
    for cut in [&["--split", "100"][..], &["--split", "10K"], &["--split-into", "7"], &["--split", "1G"], &["--files"]]
    {
        let sums = tempfile::NamedTempFile::new().expect("a file");
        let args = ["map", &npy, "--call", "sum", "--reduce", "add", "--raw", path(&file)];
        let added = run(&[&args, cut].concat());
        assert!(added.status.success(), "{cut:?}: {}", stderr(&added));
        std::fs::write(sums.path(), &added.stdout).expect("room for a file");
        let shown = run(&["map", &npy, "--call", "show", "--files", path(&sums)]);
        assert_eq!(success(&shown), expected, "{cut:?}");
    }
}

#[test]
fn pieces_of_an_array_are_whole_rows() {
    let file = array("(4, 2)", (0..8).map(f64::from));
    let (npy, name) = (guest("npy"), path(&file));
    let rows = |start: u32, end: u32| {
        let lines = (start..end).map(|row| format!("{name}[{start}:{end}]\t{} {}\n", row * 2, row * 2 + 1));
        format!("{name}[{start}:{end}]\tfloat64 [{}, 2]\n{}", end - start, lines.collect::<String>())
    };
    for (cut, expected) in [
        (&["--split", "1"][..], rows(0, 1) + &rows(1, 2) + &rows(2, 3) + &rows(3, 4)),
        (&["--split", "50"], rows(0, 3) + &rows(3, 4)),
        (&["--split-into", "2"], rows(0, 2) + &rows(2, 4)),
        (&["--split-into", "9", "--split-at", "rows"], rows(0, 1) + &rows(1, 2) + &rows(2, 3) + &rows(3, 4)),
    ] {
        let shown = run(&[&["map", &npy, "--call", "show", "--tag", name], cut].concat());
        assert_eq!(success(&shown), expected, "{cut:?}");
    }
    // Tasks that know nothing about arrays get the rows as bytes.
    let report = run(&["map", &guest("stats"), "--call", "stats", "--split", "1K", name]);
    assert!(success(&report).starts_with("count 8\nskipped 0\nmin 0.0\nmax 7.0\n"), "{}", stdout(&report));
    // If another way to split is given, it takes precedence.
    let cut = run(&["map", &guest("stats"), "--call", "stats", "--split", "1G", "--split-at", "record:8", name]);
    assert!(success(&cut).starts_with("count 24\n"), "{}", stdout(&cut));
}

#[test]
fn rows_whose_task_failed_are_reported_and_can_be_run_again() {
    let (npy, integers) = (guest("npy"), numpy_path("i4-little.npy"));
    let failed = run(&["map", &npy, "--call", "show", "--split-into", "2", &integers]);
    assert_eq!(failed.status.code(), Some(100));
    let text = stderr(&failed);
    let message = format!("({integers}[1:3]) failed: the array's elements are <i4, but this task reads <f8 (f64)\n");
    assert!(text.contains(&message), "{text}");
    let item = format!("{integers}[1:3]");
    assert!(text.contains(&format!("--index 1 --file '{item}'\n")), "{text}");

    let again = run(&["run", &npy, "--call", "show", "--index", "1", "--file", &item]);
    assert!(stderr(&again).contains("the array's elements are <i4"), "{}", stderr(&again));
    let name = numpy_path("f8-little.npy");
    let shown = run(&["run", &npy, "--call", "show", "--file", &format!("{name}[1:3]")]);
    assert_eq!(success(&shown), "float64 [2, 2]\n2 3\n4 5\n");
    let outside = run(&["run", &npy, "--call", "show", "--file", &format!("{name}[1:4]")]);
    let text = format!("wrun: rows 1:4 are not in the array of input {name:?}, which has 3 rows\n");
    assert_eq!((outside.status.code(), stderr(&outside)), (Some(2), text));
}

#[test]
fn what_is_no_array_of_numbers_is_refused_before_anything_runs() {
    let short = array("(100, 2)", (0..3).map(f64::from));
    let huge = array("(4294967296, 4294967296, 4294967296)", std::iter::empty());
    for (file, what) in [
        (
            numpy_path("fortran.npy"),
            "the array is in Fortran order, which is not supported; save numpy.ascontiguousarray(a)",
        ),
        (numpy_path("objects.npy"), "the array's elements are Python objects (pickled), which are not supported"),
        (numpy_path("structures.npy"), "the array's elements are structures, which are not supported"),
        (numpy_path("texts.npy"), r#"the array's elements have the dtype "<U3", which is not supported"#),
        (numpy_path("archive.npz"), "the file is a zip archive, such as an .npz; unzip it"),
        (numpy_path("make.py"), "the file does not start like a .npy file"),
        (numpy_path("number.npy"), "is a single number and has no rows; use the file whole"),
        (path(&short).to_owned(), "its header announces 1600 bytes of data, but it has 24; the file was truncated"),
        (path(&huge).to_owned(), "the .npy header has a shape of more bytes than 64 bits can count"),
    ] {
        let refused = run(&["map", &guest("npy"), "--call", "show", "--split", "1K", "--split-at", "rows", &file]);
        let text = stderr(&refused);
        assert_eq!((refused.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.starts_with("wrun: ") && text.contains(&file) && text.contains(what), "{text}");
    }
}

#[test]
fn all_types_that_numpy_writes_are_known() {
    let mut names = vec![("b1".to_owned(), "|b1".to_owned()), ("i1".into(), "|i1".into()), ("u1".into(), "|u1".into())];
    for dtype in ["i2", "i4", "i8", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"] {
        names.push((format!("{dtype}-little"), format!("<{dtype}")));
        names.push((format!("{dtype}-big"), format!(">{dtype}")));
    }
    names.extend(["version-2", "version-3"].map(|name| (name.to_owned(), "<f8".to_owned())));
    for (name, dtype) in names {
        let array = Input::npy(numpy(&name).with_extension("npy")).expect("an array");
        assert_eq!((array.dtype().to_string(), array.shape()), (dtype, &[3, 2][..]), "{name}");
        let rows = array.rows(1..3).expect("rows");
        assert_eq!(
            (rows.len(), rows.offset() % 64),
            (4 * u64::from(array.dtype().bytes()), 2 * u64::from(array.dtype().bytes()))
        );
    }
}

/// Trips and cents by kind, computed from the same numbers from which `make.py` builds the table.
fn fares() -> String {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut table = BTreeMap::<&str, (u64, u64)>::new();
    for _ in 0..500 {
        let kind = ["bus", "cab", "taxi", "van"][random() as usize % 4];
        let (meters, cents) = (random() % 20_000, random() % 9000 + 350);
        let (no_distance, no_fare) = (random() % 17 == 0, random() % 13 == 0);
        if meters >= 5000 && !no_distance && !no_fare {
            let sum = table.entry(kind).or_default();
            *sum = (sum.0 + 1, sum.1 + cents);
        }
    }
    table.iter().map(|(kind, (trips, cents))| format!("{kind} {trips} {cents}\n")).collect()
}

#[test]
fn record_batches_are_filtered_and_summed_in_parallel() {
    let input = format!("table={ROOT}/examples/guests/arrow/trips.arrow");
    let arrow = guest("arrow");
    let batches = run(&["run", &arrow, "--call", "batches", "--input", &input]);
    let batches = success(&batches);
    assert_eq!(batches, "0\n1\n2\n3\n4\n");
    for reuse in [&[][..], &["--reuse"]] {
        let args = ["map", &arrow, "--call", "fares", "--input", &input, "--reduce", "merge"];
        let items: Vec<&str> = batches.lines().collect();
        let summed = run(&[&args, reuse, &items[..]].concat());
        assert_eq!(success(&summed), fares());
    }
    let failed = run(&["map", &arrow, "--call", "fares", "--input", &input, "5"]);
    assert!(stderr(&failed).contains("there is no record batch 5: the Arrow file has 5"), "{}", stderr(&failed));
}
