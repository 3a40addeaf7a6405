//! Tasks that write results in place: each one its own slice of a file of floats, and all together one histogram.

use wrun_guest::{Error, Input, Shared, Slice, task};

/// Sums the `f64` numbers of a piece of a file into the first number of the task's output slice; the second one, if there
/// is one, becomes their count.
#[task]
pub fn sum(input: Input, mut out: Slice<f64>) -> Result<(), Error> {
    let numbers = input.as_slice::<f64>()?;
    for (place, value) in out.iter_mut().zip([numbers.iter().sum(), numbers.len() as f64]) {
        *place = value;
    }
    Ok(())
}

/// Counts the lines of a piece of a file by length, in the bins of the shared memory `lengths`; the last bin also counts
/// all longer lines.
#[task]
pub fn lengths(input: Input, shared: Shared) -> Result<(), Error> {
    let lengths = shared.histogram("lengths")?;
    for line in input.lines() {
        lengths.add(line.len().min(lengths.bins() - 1), 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wrun_guest::TestTask;

    #[test]
    fn a_slice_has_the_sum_and_the_count() {
        let numbers: Vec<u8> = [1.5f64, 2.0, -1.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        let task = TestTask::new().input("numbers", numbers).slice(16);
        let written = task.run_in_place(|task| super::sum(task.extract()?, task.extract()?)).unwrap();
        assert_eq!(written.slice, [2.5f64, 3.0].map(f64::to_le_bytes).concat());
    }

    #[test]
    fn lines_are_counted_by_length() {
        let task = TestTask::new().input("text", "\na\nbb\nccc\nd").shared("lengths", 3 * 8);
        let written = task.run_in_place(|task| super::lengths(task.extract()?, task.extract()?)).unwrap();
        assert_eq!(written.shared[0], [1u64, 2, 2].map(u64::to_le_bytes).concat());
    }
}
