//! Measures one row of the comparison once: `wrun-peers ROW ARG...` prints the measurements as a JSON object.

mod bare;
mod component;
mod count;
mod lost;
mod noop;
mod sum;
// The word count guest's algorithm, compiled for this machine.
#[path = "../../../examples/guests/wordcount/src/table.rs"]
mod table;
#[path = "../../../examples/guests/wordcount/src/words.rs"]
mod words;

use std::error::Error;

/// A row's measurements as JSON, or text that is itself the result.
type Outcome = Result<String, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    // For rows that use the library, workers are this same program, started again.
    wrun::init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = match words[..] {
        ["noop-fresh", tasks, workers] => noop::fresh(tasks.parse()?, workers.parse()?),
        ["noop-unordered", tasks, workers] => noop::unordered(tasks.parse()?, workers.parse()?),
        ["noop-reuse", tasks, workers] => noop::reuse(tasks.parse()?, workers.parse()?),
        ["bare", tasks, threads] => bare::rate(tasks.parse()?, threads.parse()?),
        ["component", path, tasks] => component::call(path, tasks.parse()?),
        ["make-numbers", path, mib] => sum::make_numbers(path, mib.parse()?),
        ["sum", path, slices, threads] => sum::sum(path, slices.parse()?, threads.parse()?),
        ["words", path, piece_bytes, threads] => count::count(path, piece_bytes.parse()?, threads.parse()?),
        ["words-of-stdin"] => count::count_stdin(),
        ["merge-stdin"] => count::merge_stdin(),
        ["lost", tasks, workers] => lost::with_kill(tasks.parse()?, workers.parse()?),
        ["not-lost", tasks, workers] => lost::without_kill(tasks.parse()?, workers.parse()?),
        _ => Err(format!("unknown row {words:?}; see main.rs").into()),
    }?;
    print!("{text}");
    Ok(())
}
