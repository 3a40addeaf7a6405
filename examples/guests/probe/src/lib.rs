//! Tasks that each use one part of the SDK, so that tests can see all of it work in a real worker.

use serde::{Deserialize, Serialize};
use wrun_guest::{Error, Input, Inputs, Json, Output, Shared, TaskIndex, task};

/// Panics with the argument as its message.
#[task]
fn panic(message: &str) {
    panic!("{message}");
}

/// The argument, reversed, as text.
#[task]
fn reverse(argument: String) -> String {
    argument.chars().rev().collect()
}

/// The sum of the argument's bytes.
#[task]
fn sum_bytes(argument: &[u8]) -> u64 {
    argument.iter().copied().map(u64::from).sum()
}

/// Twice the argument.
#[task]
fn double(number: i64) -> i64 {
    number * 2
}

/// The argument of [`area`].
#[derive(Deserialize)]
struct Rectangle {
    width: f64,
    height: f64,
}

/// The result of [`area`].
#[derive(Serialize)]
struct Area {
    area: f64,
}

/// The area of a rectangle, from JSON to JSON.
#[task]
fn area(Json(rectangle): Json<Rectangle>) -> Json<Area> {
    Json(Area { area: rectangle.width * rectangle.height })
}

/// The task's position among the items.
#[task]
fn index(TaskIndex(index): TaskIndex) -> u64 {
    index
}

/// The lengths of all inputs, and the index of the one named `data`.
#[task]
fn inputs(inputs: Inputs) -> Result<String, Error> {
    let lengths: Vec<String> = inputs.iter().map(|input| input.len().to_string()).collect();
    Ok(format!("{} data={}", lengths.join(","), inputs.named("data")?.index()))
}

/// The sum of the input as little-endian `f64`, which must be aligned.
#[task]
fn sum_f64(input: Input) -> Result<f64, Error> {
    Ok(input.as_slice::<f64>()?.iter().sum())
}

/// The number of lines of the input, and the length of the longest.
#[task]
fn lines(input: Input) -> String {
    let (count, longest) = input.lines().fold((0, 0), |(count, longest), line| (count + 1, longest.max(line.len())));
    format!("{count} {longest}")
}

/// Logs one line at each level.
#[task]
fn logs(argument: &str) {
    wrun_guest::error!("error {argument}");
    wrun_guest::warn!("warn {argument}");
    wrun_guest::info!("info {argument}");
    wrun_guest::debug!("debug {argument}");
    wrun_guest::trace!("trace {argument}");
    println!("printed {argument}");
}

/// Maps a result of this many bytes and fills it.
#[task]
fn filled(len: u32, output: Output) {
    output.map(len as usize).fill(b'x');
}

/// Fails with a message.
#[task(name = "fail-with")]
fn fail_with(message: &str) -> Result<(), String> {
    Err(message.to_owned())
}

/// Never ends.
#[task]
fn endless() {
    spin();
}

#[inline(never)]
fn spin() {
    loop {
        std::hint::black_box(());
    }
}

/// This many times, adds 1 to the shared number `count`, -1 to `down`, a half to `half`, and 1 to the next bin of `bins`.
#[task]
fn add_up(times: u64, shared: Shared) -> Result<(), Error> {
    let (count, down, half) = (shared.u64("count")?, shared.i64("down")?, shared.f64("half")?);
    let bins = shared.histogram("bins")?;
    for time in 0..times {
        count.add(1);
        down.add(-1);
        half.add(0.5);
        bins.add((time % bins.bins() as u64) as usize, 1);
    }
    Ok(())
}

/// The input, reversed in a private copy.
#[task]
fn reverse_input(input: Input) -> Result<Vec<u8>, Error> {
    let mut copy = input.map_private(..)?;
    copy.reverse();
    Ok(copy.to_vec())
}
