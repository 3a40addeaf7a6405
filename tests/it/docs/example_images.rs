//! Thumbnails of many images (`examples/images`): they are correct, a failure affects only its own image, and memory does not grow.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use crate::cli::kit::Place;
use crate::cli::signals::children_of;
use crate::docs::examples::replay_example;
use crate::docs::packed::{png, read_png};
use crate::support::{guest, stderr, wrun};

const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/images");

#[test]
fn each_pixel_of_a_thumbnail_is_the_mean_of_those_it_stands_for() {
    const SIDE: usize = 1024;
    let place = Place::new();
    let module = guest("thumbnail");
    let pictures: Vec<Vec<u8>> = (0..3)
        .map(|k| (0..SIDE * SIDE * 3).map(|n| (n * (7 + k) / 11 + n / (SIDE * 3) * (k + 2)) as u8).collect())
        .collect();
    for (k, pixels) in pictures.iter().enumerate() {
        place.file(&format!("{k}.png"), png(SIDE as u32, SIDE as u32, pixels));
    }
    let said = place.says(&["map", &module, "--files", "0.png", "1.png", "2.png", "--results", "small"]);
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""));
    for (k, pixels) in pictures.iter().enumerate() {
        let (width, height, small) =
            read_png(&fs::read(place.path().join(format!("small/{k}-{k}.png.out"))).expect("a result"));
        assert_eq!((width, height), (256, 256));
        for (at, value) in small.iter().enumerate() {
            let (row, column, channel) = (at / 3 / 256 * 4, at / 3 % 256 * 4, at % 3);
            let block = (0..16).map(|n| (row + n / 4) * SIDE + column + n % 4);
            let mean = block.map(|pixel| u32::from(pixels[pixel * 3 + channel])).sum::<u32>() as f64 / 16.0;
            assert!((f64::from(*value) - mean).abs() <= 1.0, "picture {k}, byte {at}: {value} instead of {mean}");
        }
    }
}

#[test]
fn the_page_of_the_images_shows_what_its_commands_print() {
    replay_example("images");
}

/// A process's peak memory in bytes, including shared pages (proc(5), `VmHWM`).
fn peak_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process of ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process with memory");
    line.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).expect("a number") << 10
}

/// The sum of the peaks of wrun's process and its two workers, after thumbnails of this many files.
fn peak_after(files: usize) -> u64 {
    let place = Place::new();
    let mut command =
        place.wrun(&["map", &guest("thumbnail"), "--files", "--jobs", "2", "--results", "small", "--verbose"]);
    let mut wrun = command.stdin(Stdio::piped()).spawn().expect("wrun starts");
    let (mut items, lines) = (wrun.stdin.take().expect("a pipe"), wrun.stderr.take().expect("a pipe"));
    for k in 0..files {
        let path = place.path().join(format!("{k}.png"));
        fs::copy(Path::new(IMAGES).join("wheel.png"), &path).expect("a copy");
        writeln!(items, "{}", path.display()).expect("wrun reads");
    }
    let ended = BufReader::new(lines).lines().take(files).map(|line| line.expect("a line"));
    assert_eq!(ended.filter(|line| line.contains(": ok in ")).count(), files);
    // The input is still open for more items, so all processes are still running.
    let workers = children_of(wrun.id());
    assert_eq!(workers.len(), 2);
    let peak = workers.into_iter().chain([wrun.id()]).map(peak_bytes).sum();
    drop(items);
    assert!(wrun.wait().expect("its end").success());
    let results = fs::read_dir(place.path().join("small")).expect("a directory");
    assert_eq!(results.count(), files);
    peak
}

#[test]
fn memory_does_not_grow_with_the_number_of_images() {
    const MIB: u64 = 1 << 20;
    // Fills the cache of compiled modules first, so that the runs below do not compile.
    peak_after(2);
    let (few, many) = (peak_after(20), peak_after(200));
    println!("{} MiB for 20 images, {} MiB for 200", few / MIB, many / MIB);
    // An image takes 1.4 MiB.
    assert!(many <= few + few / 5 + 4 * MIB, "{few} bytes for 20 images, and {many} for 200");
}

#[test]
fn an_image_of_huge_dimensions_hits_the_limit_of_memory() {
    let place = Place::new();
    let module = guest("thumbnail");
    // 20,000 by 20,000 pixels of 3 bytes.
    place.file("bomb.png", png(20_000, 20_000, &[0; 60_000]));
    let files = ["bomb.png", &format!("{IMAGES}/wheel.png")];
    let output =
        wrun(&["map", &module, "--results", "small", "--files"]).args(files).current_dir(place.path()).output();
    let output = output.expect("wrun starts");
    let error = stderr(&output);
    let text = "bytes of memory, and the limit is 268435456 bytes; raise it with --memory\n";
    assert!(error.contains("task 0 (bomb.png) failed: it needs 120") && error.contains(text), "{error}");
    assert!(error.ends_with("wrun: 1 of 2 tasks failed\n"), "{error}");
    assert_eq!(output.status.code(), Some(100));
    assert!(place.path().join("small/1-wheel.png.out").exists());
}
