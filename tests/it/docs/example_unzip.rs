//! Unpacks zip files into one array (`examples/unzip`).

use std::fs;

use crate::cli::kit::{Place, objects};
use crate::docs::examples::replay_example;
use crate::docs::packed::zip;
use crate::support::guest;

/// Not a multiple of a page.
const PART_BYTES: usize = 40_000;
const PARTS: usize = 48;

/// The numbers of a part: some of them repeat.
fn part(k: usize) -> Vec<u8> {
    let number = |n: usize| (n % (k + 2)) as f32 + (n * n % 9973) as f32 / 7.0;
    (0..PART_BYTES / 4).flat_map(|n| number(n).to_le_bytes()).collect()
}

#[test]
fn the_page_of_the_zip_files_shows_what_its_commands_print() {
    replay_example("unzip");
}

#[test]
fn zip_files_become_one_array_and_bad_ones_are_zeros_in_it() {
    let place = Place::new();
    let names: Vec<String> = (0..PARTS).map(|k| format!("{k:02}.zip")).collect();
    for (k, name) in names.iter().enumerate() {
        let file = zip("part.f32", &part(k));
        let file = match k {
            // Truncated.
            7 => file[..file.len() / 2].to_vec(),
            // One number differs from what was packed: the length is right, but the CRC is wrong.
            20 => {
                let mut other = part(k);
                other[PART_BYTES - 1] ^= 1;
                let (other, at) = (zip("part.f32", &other), 14..18);
                let end = other.len() - 22 - 46 - "part.f32".len() + 16;
                let mut mixed = other;
                mixed[at.clone()].copy_from_slice(&file[at.clone()]);
                mixed[end..end + 4].copy_from_slice(&file[at]);
                mixed
            }
            // Fewer numbers.
            33 => zip("part.f32", &part(k)[4..]),
            _ => file,
        };
        place.file(name, file);
    }
    let module = guest("unpack");
    let slice = PART_BYTES.to_string();
    let options = ["map", &module, "--out", "array.f32", "--slice", &slice, "--retries", "1", "--retry-delay", "1ms"];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let said = place.says(&[&options[..], &["--jobs", "2", "--json", "--files"], &names].concat());
    assert_eq!(said.code, Some(100));

    let outcomes = objects(&said.stdout);
    assert_eq!(outcomes.len(), PARTS);
    let array = fs::read(place.path().join("array.f32")).expect("the array");
    assert_eq!(array.len(), PARTS * PART_BYTES);
    for (k, (slice, outcome)) in array.chunks(PART_BYTES).zip(&outcomes).enumerate() {
        let problem = match k {
            7 => "this is not a zip file, or it is cut off: ",
            20 => "Invalid checksum: ",
            33 => "the file has 39996 bytes of numbers, but the output slice has 40000; check --slice",
            _ => {
                assert_eq!((outcome["status"].as_str(), outcome["attempts"].as_u64()), (Some("ok"), Some(1)));
                assert!(slice == part(k), "part {k} differs");
                continue;
            }
        };
        assert_eq!((outcome["status"].as_str(), outcome["attempts"].as_u64()), (Some("error"), Some(2)));
        assert!(outcome["error"].as_str().expect("a message").starts_with(problem), "{outcome}");
        assert!(slice.iter().all(|byte| *byte == 0), "part {k} is not zeros");
    }
}
