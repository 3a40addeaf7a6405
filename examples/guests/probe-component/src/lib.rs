//! Uses all that a component can import of the package `wrun:task`, for tests. The words of the argument say what to do.

use std::mem::forget;

use bindings::Guest;
use bindings::wrun::task::inputs::{self, Input};
use bindings::wrun::task::log::{Level, log};
use bindings::wrun::task::shared::{self, Numbers};
use bindings::wrun::task::{context, output, output_slice};

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package probe:component;
            world probe {
                include wrun:task/merging-task@0.1.0;
                /// Another task.
                export other-task: func() -> result<_, string>;
                /// No task.
                export no-task: func() -> result<string, string>;
            }
        ",
        path: "../../../guest-sdk/wit",
        generate_all,
    });
}

bindings::export!(Probe with_types_in bindings);

struct Probe;

impl Guest for Probe {
    fn run() -> Result<(), String> {
        let argument = String::from_utf8(context::argument()).map_err(|error| error.to_string())?;
        let words: Vec<&str> = argument.split(' ').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse().ok()).unwrap_or(u64::MAX);
        match words[0] {
            "argument" => say(&format!("{argument} of {}", context::index())),
            "log" => {
                for level in [Level::Error, Level::Warn, Level::Info, Level::Debug, Level::Trace] {
                    log(level, &argument);
                }
            }
            "log-much" => (0..1000).for_each(|_| log(Level::Info, &"x".repeat(1000))),
            "inputs" => (0..inputs::count()).for_each(|index| describe(&inputs::get(index).expect("an input"))),
            "find" => describe(&inputs::find(words[1]).ok_or("there is no such input")?),
            "get" => describe(&inputs::get(number(1) as u32).ok_or("there is no such input")?),
            "read" => output::write(&first_input().read(number(1), number(2))),
            "hoard" => loop {
                forget(first_input());
            },
            "drop" => (0..300_000).for_each(|_| drop(first_input())),
            // SAFETY: none; the host must refuse it.
            "forge" => say(&unsafe { Input::from_handle(number(1) as u32) }.len().to_string()),
            "confuse" => {
                let numbers = numbers(words[1])?;
                // SAFETY: none; the host must refuse it.
                say(&unsafe { Input::from_handle(numbers.take_handle()) }.len().to_string());
            }
            "write" => output::write(&vec![b'x'; number(1) as usize]),
            "flood" => loop {
                output::write(&[b'x'; 4096]);
            },
            "fail" => return Err(words[1..].join(" ")),
            "fail-long" => return Err("é".repeat(number(1) as usize)),
            "panic" => panic!("{}", words[1..].join(" ")),
            "slice-len" => say(&output_slice::len().to_string()),
            "slice-write" => {
                output_slice::write(number(1), words[2].as_bytes());
                output::write(&output_slice::read(0, 100));
            }
            "slice-fill" => fill_slice(number(1) as usize),
            "slice-read" => output::write(&output_slice::read(number(1), number(2))),
            "add" => say(&numbers(words[1])?.add(number(2), number(3)).to_string()),
            "numbers" => change_all(&numbers(words[1])?),
            "arguments" => say(&std::env::args().collect::<Vec<_>>().join("|")),
            "stdin" => drop(std::io::copy(&mut std::io::stdin(), &mut std::io::stdout())),
            _ => return Err(format!("{argument:?} is nothing to do")),
        }
        Ok(())
    }

    fn merge() -> Result<(), String> {
        (0..inputs::count()).for_each(|index| describe(&inputs::get(index).expect("an input")));
        inputs::find("more").iter().for_each(describe);
        say(&format!(" ({} bytes, slice of {})", context::argument().len(), output_slice::len()));
        Ok(())
    }

    fn other_task() -> Result<(), String> {
        say("the other task");
        Ok(())
    }

    fn no_task() -> Result<String, String> {
        Ok("no task".to_owned())
    }
}

fn say(text: &str) {
    output::write(text.as_bytes());
}

fn first_input() -> Input {
    inputs::get(0).expect("an input")
}

fn describe(input: &Input) {
    let bytes = input.read(0, u64::MAX);
    say(&format!("[{}: {} of {}]", input.name().unwrap_or_default(), String::from_utf8_lossy(&bytes), input.len()));
}

fn numbers(name: &str) -> Result<Numbers, String> {
    shared::find(name).ok_or_else(|| format!("there is no shared memory {name:?}"))
}

/// Fills the slice by writes of this length, and checks what it holds.
fn fill_slice(len: usize) {
    let byte = |offset: u64| (offset % 251) as u8;
    let all = output_slice::len();
    for offset in (0..all).step_by(len) {
        let bytes: Vec<u8> = (offset..all.min(offset + len as u64)).map(byte).collect();
        output_slice::write(offset, &bytes);
    }
    let read = output_slice::read(1, u64::MAX);
    assert!(read.len() as u64 == all - 1 && (1..all).zip(&read).all(|(offset, read)| byte(offset) == *read));
}

fn change_all(numbers: &Numbers) {
    let last = numbers.len() - 1;
    numbers.store(last, 5);
    let changes = [
        numbers.load(last),
        numbers.swap(last, u64::MAX),
        numbers.add(last, 3),
        numbers.compare_exchange(last, 1, 7),
        numbers.compare_exchange(last, 2, 8),
        numbers.load(last),
    ];
    say(&format!("{} {changes:?}", numbers.len()));
}
