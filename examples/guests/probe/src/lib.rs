//! Tasks that use each part of the SDK, one at a time, so that tests can see all of it work in a real worker.

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

/// What [`area`] takes.
#[derive(Deserialize)]
struct Rectangle {
    width: f64,
    height: f64,
}

/// What [`area`] gives.
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

/// How many lines the input has, and the length of the longest.
#[task]
fn lines(input: Input) -> String {
    let (count, longest) = input.lines().fold((0, 0), |(count, longest), line| (count + 1, longest.max(line.len())));
    format!("{count} {longest}")
}

/// Logs a line of each level.
#[task]
fn logs(argument: &str) {
    wrun_guest::error!("error {argument}");
    wrun_guest::warn!("warn {argument}");
    wrun_guest::info!("info {argument}");
    wrun_guest::debug!("debug {argument}");
    wrun_guest::trace!("trace {argument}");
    println!("printed {argument}");
}

/// Maps a result of so many bytes and fills it.
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

/// Adds 1 so many times to the shared numbers `count`, `down` (less 1) and `half` (a half), and to the bins of `bins` in turn.
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
