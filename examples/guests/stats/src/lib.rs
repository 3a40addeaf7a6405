//! Minimum, maximum, mean and variance of a file of little-endian `f64`, exact however the file is cut.
//!
//! ```text
//! wrun map stats.wasm --call stats --split 64M --split-at record:8 numbers.f64 --reduce merge
//! ```
//!
//! Both tasks write a report of `KEY VALUE` lines, for people and for `merge`:
//!
//! ```text
//! count 4
//! skipped 0
//! min 1.0
//! max 4.0
//! mean 2.5
//! variance 1.25
//! exact-sum 5p+1
//! exact-squares fp+1
//! ```
//!
//! `variance` is the population's (the sum is divided by `count`). `skipped` counts what is not a finite number; it is
//! in no other line. Without a finite number there is nothing after `skipped`. The last two lines are the sum of the
//! numbers and of their squares as exact integers, `[-]HEX p EXPONENT`, to be multiplied by two to the power of the
//! (decimal) exponent. No rounding happens before mean and variance are taken from these sums, each rounded once, so that
//! the report has the same bytes whatever the pieces and the order of merging.

mod exact;
mod report;

use report::Report;
use wrun_guest::{Error, Input, Inputs, task};

/// How much is mapped at a time, in bytes; a task may therefore have inputs of any length.
const CHUNK_LEN: usize = 64 << 20;

/// The report on the numbers of the task's file, or piece of a file.
#[task]
fn stats(input: Input) -> Result<String, Error> {
    let mut report = Report::default();
    for chunk in input.chunks(CHUNK_LEN) {
        report.add(&chunk.cast::<f64>()?);
    }
    Ok(report.to_string())
}

/// The report on all numbers that several reports are about.
#[task]
fn merge(reports: Inputs) -> Result<String, Error> {
    let mut merged = Report::default();
    for (index, report) in reports.iter().enumerate() {
        let text = report.map()?;
        let text = text.to_str().map_err(|error| Error::new(format_args!("report {index}: {error}")))?;
        merged.merge(text).map_err(|error| Error::new(format_args!("report {index}: {error}")))?;
    }
    Ok(merged.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrun_guest::TestTask;

    fn report(numbers: &[f64]) -> String {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        text(TestTask::new().input("numbers", bytes).run(|task| Ok(stats(task.extract()?))))
    }

    fn merged(reports: &[&str]) -> String {
        let task = reports.iter().fold(TestTask::new(), |task, report| task.input("", report));
        text(task.run(|task| Ok(merge(task.extract()?))))
    }

    fn text(result: Result<Vec<u8>, String>) -> String {
        result.map(|bytes| String::from_utf8(bytes).unwrap()).unwrap_or_else(|error| format!("failed: {error}"))
    }

    #[test]
    fn report_is_as_documented() {
        let expected =
            "count 4\nskipped 0\nmin 1.0\nmax 4.0\nmean 2.5\nvariance 1.25\nexact-sum 5p+1\nexact-squares fp+1\n";
        assert_eq!(report(&[1.0, 2.0, 3.0, 4.0]), expected);
        assert_eq!(report(&[f64::NAN, f64::INFINITY]), "count 0\nskipped 2\n");
        assert_eq!(report(&[]), "count 0\nskipped 0\n");
    }

    #[test]
    fn rounding_has_no_chance() {
        // Plain summation loses the ones here, and the usual formula for the variance everything.
        let lines = report(&[1e300, 1.0, -1e300, 1.0]);
        assert!(lines.contains("\nmean 0.5\n"), "{lines}");
        let lines = report(&[1e9 + 0.25, 1e9 + 0.5, 1e9 + 0.75]);
        assert!(lines.contains("\nmean 1000000000.5\nvariance 0.041666666666666664\n"), "{lines}");
        let lines = report(&[5e-324, -5e-324, 5e-324, 5e-324]);
        assert!(lines.contains("\nmin -5e-324\nmax 5e-324\nmean 0.0\n"), "{lines}");
    }

    #[test]
    fn cuts_do_not_show() {
        let numbers: Vec<f64> = (0..1000u64)
            .map(|n| f64::from_bits(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n << 40)))
            .chain([0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::MIN, f64::NAN])
            .collect();
        let whole = report(&numbers);
        for cut in [1, 7, 100, 999, 1005] {
            let pieces: Vec<String> = numbers.chunks(cut).map(report).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            assert_eq!(merged(&pieces), whole, "pieces of {cut}");
            let (left, right) = pieces.split_at(pieces.len() / 2);
            assert_eq!(merged(&[&merged(right), &merged(left)]), whole, "tree over pieces of {cut}");
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        assert_eq!(
            merged(&["count 0\nskipped 0\n", "hello\n"]),
            "failed: report 1: line 1 is not `count NUMBER`: \"hello\""
        );
        assert!(merged(&["count 1\nskipped 0\n"]).starts_with("failed: report 0: line 3 is missing"));
    }
}
