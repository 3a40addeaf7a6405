//! The report: counts, extremes and exact sums, as numbers and as text.

use std::fmt;

use crate::exact::Sums;

/// What is known about a set of numbers.
#[derive(Default)]
pub struct Report {
    count: u64,
    skipped: u64,
    /// Minimum and maximum in the order of [`f64::total_cmp`], in which -0.0 is below 0.0; `None` if `count` is 0.
    extremes: Option<(f64, f64)>,
    sums: Sums,
}

impl Report {
    /// Adds numbers.
    pub fn add(&mut self, numbers: &[f64]) {
        let finite = || numbers.iter().copied().filter(|number| number.is_finite());
        let count = finite().count();
        self.count += count as u64;
        self.skipped += (numbers.len() - count) as u64;
        if let Some(first) = finite().next() {
            self.widen(finite().fold((first, first), |extremes, number| wider(extremes, (number, number))));
        }
        self.sums.add(finite());
    }

    /// Adds the numbers of another report.
    pub fn merge(&mut self, text: &str) -> Result<(), String> {
        let mut lines = Lines { lines: text.lines(), number: 0 };
        let count: u64 = lines.value("count")?;
        self.skipped += lines.value::<u64>("skipped")?;
        if count == 0 {
            return Ok(());
        }
        self.count += count;
        self.widen((lines.value("min")?, lines.value("max")?));
        lines.value::<f64>("mean")?;
        lines.value::<f64>("variance")?;
        let (sum, squares): (String, String) = (lines.value("exact-sum")?, lines.value("exact-squares")?);
        self.sums.merge(&Sums::from_text(&sum, &squares).ok_or("its exact sums cannot be read")?);
        Ok(())
    }

    fn widen(&mut self, extremes: (f64, f64)) {
        self.extremes = Some(self.extremes.map_or(extremes, |own| wider(own, extremes)));
    }
}

fn wider(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (if b.0.total_cmp(&a.0).is_lt() { b.0 } else { a.0 }, if b.1.total_cmp(&a.1).is_gt() { b.1 } else { a.1 })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "count {}\nskipped {}", self.count, self.skipped)?;
        let Some((min, max)) = self.extremes else { return Ok(()) };
        writeln!(f, "min {min:?}\nmax {max:?}")?;
        writeln!(f, "mean {:?}\nvariance {:?}", self.sums.mean(self.count), self.sums.variance(self.count))?;
        let (sum, squares) = self.sums.to_text();
        writeln!(f, "exact-sum {sum}\nexact-squares {squares}")
    }
}

/// Reads `KEY VALUE` lines in a fixed order.
struct Lines<'a> {
    lines: std::str::Lines<'a>,
    number: usize,
}

impl Lines<'_> {
    fn value<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, String> {
        self.number += 1;
        let number = self.number;
        let line = self.lines.next().ok_or_else(|| format!("line {number} is missing: `{key} NUMBER`"))?;
        let value = line.strip_prefix(key).and_then(|rest| rest.strip_prefix(' '));
        let value = value.and_then(|value| value.parse().ok());
        value.ok_or_else(|| format!("line {number} is not `{key} NUMBER`: {line:?}"))
    }
}
