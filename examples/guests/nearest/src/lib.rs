//! Finds the nearest neighbour of a vector in a large table that all tasks share, mapped and never copied: the guest of
//! `examples/shared_object.rs`.

use wrun_guest::{Error, Inputs, task};

/// How many numbers a vector has.
const DIM: usize = 64;

/// The row of the input `table` (rows of 64 little-endian `f32`) that is nearest to the vector in the argument, by Euclidean
/// distance.
#[task]
fn nearest(query: &[u8], inputs: Inputs) -> Result<usize, Error> {
    let query = vector(query)?;
    let table = inputs.named("table")?;
    let table = table.as_slice::<f32>()?;
    let rows = table.as_chunks::<DIM>().0.iter().map(|row| distance(row, &query)).enumerate();
    let nearest = rows.min_by(|(_, a), (_, b)| a.total_cmp(b));
    nearest.map(|(row, _)| row).ok_or_else(|| Error::new("the table has no row of 64 numbers"))
}

fn vector(bytes: &[u8]) -> Result<[f32; DIM], Error> {
    let (numbers, []) = bytes.as_chunks::<4>() else { return Err(Error::new("the argument is not a vector of f32")) };
    let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    numbers.try_into().map_err(|_| Error::new(format_args!("the argument must be {DIM} numbers of 4 bytes")))
}

/// The square of the distance.
fn distance(a: &[f32; DIM], b: &[f32; DIM]) -> f32 {
    // Independent sums, which the compiler can add up with SIMD.
    let mut sums = [0.0; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for lane in 0..16 {
            let difference = a[lane] - b[lane];
            sums[lane] += difference * difference;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrun_guest::TestTask;

    fn nearest_in(table: &[f32], query: &[f32]) -> Result<Vec<u8>, String> {
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        let task = TestTask::new().arg(bytes(query)).input("table", bytes(table));
        task.run(|task| nearest(task.extract()?, task.extract()?))
    }

    #[test]
    fn the_nearest_row_is_found() {
        let table = [[0.0; DIM], [1.0; DIM], [2.0; DIM]].concat();
        assert_eq!(nearest_in(&table, &[1.4; DIM]).unwrap(), b"1");
        assert_eq!(nearest_in(&table, &[9.0; DIM]).unwrap(), b"2");
    }

    #[test]
    fn what_has_no_neighbour_is_refused() {
        assert_eq!(nearest_in(&[0.0; 63], &[0.0; DIM]).unwrap_err(), "the table has no row of 64 numbers");
        assert_eq!(nearest_in(&[], &[0.0; 3]).unwrap_err(), "the argument must be 64 numbers of 4 bytes");
    }
}
