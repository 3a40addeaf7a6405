//! Minimum, maximum, mean and variance of a file of little-endian `f64`, exact however the file is split.
//!
//! ```text
//! wrun map stats.wasm --call stats --split 64M --split-at record:8 numbers.f64 --reduce merge
//! ```
//!
//! Both tasks write a report of `KEY VALUE` lines, which people and `merge` can read:
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
//! `variance` is the population variance (the sum divided by `count`). `skipped` counts values that are not finite, which
//! no other line includes. If there are no finite numbers, nothing follows `skipped`. The last two lines are the sums of
//! the numbers and of their squares, as exact integers in the form `[-]HEX p EXPONENT`, to be multiplied by two to the
//! power of the (decimal) exponent. Nothing is rounded before the mean and the variance are computed from these sums, each
//! rounded once. So the report has the same bytes, however the file is split and the reports are merged.

mod exact;
mod report;

use report::Report;
use wrun_guest::{Error, Input, Inputs, task};

/// How many bytes are mapped at a time, so that a task's input may have any length.
const CHUNK_LEN: usize = 64 << 20;

/// The report on the numbers in the task's file or piece of a file.
#[task]
fn stats(input: Input) -> Result<String, Error> {
    let mut report = Report::default();
    for chunk in input.chunks(CHUNK_LEN) {
        report.add(&chunk.cast::<f64>()?);
    }
    Ok(report.to_string())
}

/// The report on all numbers that several reports cover.
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
    fn nothing_is_lost_to_rounding() {
        // Plain summation would lose the ones here, and the usual formula for the variance everything.
        let lines = report(&[1e300, 1.0, -1e300, 1.0]);
        assert!(lines.contains("\nmean 0.5\n"), "{lines}");
        let lines = report(&[1e9 + 0.25, 1e9 + 0.5, 1e9 + 0.75]);
        assert!(lines.contains("\nmean 1000000000.5\nvariance 0.041666666666666664\n"), "{lines}");
        let lines = report(&[5e-324, -5e-324, 5e-324, 5e-324]);
        assert!(lines.contains("\nmin -5e-324\nmax 5e-324\nmean 0.0\n"), "{lines}");
    }

    #[test]
    fn splitting_does_not_change_the_report() {
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
    fn text_that_is_not_a_report_is_refused() {
        assert_eq!(
            merged(&["count 0\nskipped 0\n", "hello\n"]),
            "failed: report 1: line 1 is not `count NUMBER`: \"hello\""
        );
        assert!(merged(&["count 1\nskipped 0\n"]).starts_with("failed: report 0: line 3 is missing"));
    }
}
