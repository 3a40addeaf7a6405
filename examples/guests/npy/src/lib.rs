//! Sums a NumPy array of any size along its first axis, like NumPy's `a.sum(axis=0)`.
//!
//! ```text
//! wrun map npy.wasm --call sum --split 64M table.npy --reduce add --raw > sums.npy
//! wrun map npy.wasm --call show --files sums.npy
//! ```
//!
//! Each task gets whole rows of the array and adds them up; `add` adds the sums of all tasks. Results are `.npy` files of
//! `f64`.

use std::fmt::Write as _;

use wrun_guest::{DtypeKind, Element, Error, Inputs, Npy, NpyInput, NpyView, Slice, task};

/// How many bytes are mapped at a time, so that a piece may have any length.
const CHUNK_BYTES: u64 = 64 << 20;

/// The sum of the rows of the task's array, or of its part of an array.
#[task]
fn sum(array: NpyInput) -> Result<Npy<'static, f64>, Error> {
    let dtype = array.dtype();
    match (dtype.kind(), dtype.bytes()) {
        (DtypeKind::Float, 8) => sum_of(&array, |number: f64| number),
        (DtypeKind::Float, 4) => sum_of(&array, |number: f32| number.into()),
        (DtypeKind::Int, 4) => sum_of(&array, |number: i32| number.into()),
        (DtypeKind::Int, 8) => sum_of(&array, |number: i64| number as f64),
        (DtypeKind::Uint | DtypeKind::Bool, 1) => sum_of(&array, |number: u8| number.into()),
        _ => Err(Error::new(format_args!("this task does not sum arrays of {dtype}; save a.astype(float)"))),
    }
}

fn sum_of<T: Element>(array: &NpyInput, number: impl Fn(T) -> f64) -> Result<Npy<'static, f64>, Error> {
    let shape = array.shape().get(1..).unwrap_or_default();
    let shape: Vec<usize> =
        shape.iter().map(|axis| usize::try_from(*axis)).collect::<Result<_, _>>().map_err(Error::new)?;
    let mut sums = vec![0.0; shape.iter().product()];
    let rows = (CHUNK_BYTES / (size_of::<T>() * sums.len().max(1)) as u64).max(1);
    let mut start = 0;
    while start < array.len() {
        let end = array.len().min(start + rows);
        let chunk = array.rows(start..end)?.view::<T>()?;
        for row in chunk.rows() {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += number(*value));
        }
        start = end;
    }
    Npy::from_vec(&shape, sums)
}

/// The sum of arrays with the same shape.
#[task]
fn add(arrays: Inputs) -> Result<Npy<'static, f64>, Error> {
    let mut sums: Option<(Vec<usize>, Vec<f64>)> = None;
    for array in arrays.iter() {
        let array: NpyView<f64> = NpyInput::open(array)?.view()?;
        match &mut sums {
            None => sums = Some((array.shape().to_vec(), array.to_vec())),
            Some((shape, sums)) if shape == array.shape() => {
                sums.iter_mut().zip(&array[..]).for_each(|(sum, value)| *sum += value);
            }
            Some((shape, _)) => {
                let other = array.shape();
                return Err(Error::new(format_args!("cannot add arrays of shapes {shape:?} and {other:?}")));
            }
        }
    }
    let (shape, sums) = sums.ok_or_else(|| Error::new("there are no rows to sum"))?;
    Npy::from_vec(&shape, sums)
}

/// The array as text: its type, its shape, and one row per line.
#[task]
fn show(array: NpyView<f64>) -> String {
    let mut text = format!("float64 {:?}\n", array.shape());
    for row in array.rows() {
        let words: Vec<String> = row.iter().map(f64::to_string).collect();
        writeln!(text, "{}", words.join(" ")).expect("writing to a string cannot fail");
    }
    text
}

/// The numbers 0, 1, 2, ... in an array of this shape (`10,1000`), like `numpy.arange(10.0 * 1000).reshape(10, 1000)`.
#[task]
fn arange(shape: &str) -> Result<Npy<'static, f64>, Error> {
    let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>().map_err(Error::new)?;
    Npy::from_vec(&shape, (0..shape.iter().product()).map(|number| number as f64).collect())
}

/// The mean of all numbers of the array.
#[task]
fn mean(array: NpyView<f64>) -> f64 {
    array.iter().sum::<f64>() / array.len() as f64
}

/// The mean of the rows START:END of the shared array `data`; such windows may overlap.
#[task]
fn mean_of(window: &str, inputs: Inputs) -> Result<f64, Error> {
    let rows = window.split_once(':').and_then(|(start, end)| Some(start.parse().ok()?..end.parse().ok()?));
    let rows = rows.ok_or_else(|| Error::new(format_args!("{window:?} is not START:END")))?;
    Ok(mean(NpyInput::open(inputs.named("data")?)?.rows(rows)?.view()?))
}

/// The sum of each row, written to the task's output slice.
#[task]
fn row_sums(array: NpyView<f64>, mut sums: Slice<f64>) {
    for (sum, row) in sums.iter_mut().zip(array.rows()) {
        *sum = row.iter().sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wrun_guest::TestTask;

    fn file<T: Element>(shape: &[usize], elements: Vec<T>) -> Vec<u8> {
        TestTask::new().run(|_| Npy::from_vec(shape, elements)).unwrap()
    }

    fn summed(file: Vec<u8>) -> Result<Vec<u8>, String> {
        TestTask::new().input("a.npy", file).run(|task| sum(task.extract()?))
    }

    #[test]
    fn rows_are_summed_and_sums_are_added() {
        let sums = summed(file(&[3, 2], vec![1.5, 2.0, 3.0, 4.0, 5.0, 6.0])).unwrap();
        assert_eq!(sums, file(&[2], vec![9.5, 12.0]));
        let more = summed(file(&[1, 2], vec![1i32, -1])).unwrap();
        let both = TestTask::new().input("", sums).input("", more).run(|task| add(task.extract()?)).unwrap();
        let shown = TestTask::new().input("", both).run(|task| Ok(show(task.extract()?))).unwrap();
        assert_eq!(String::from_utf8(shown).unwrap(), "float64 [2]\n10.5\n11\n");
    }

    #[test]
    fn rows_are_summed_in_place_and_windows_have_means() {
        let made = TestTask::new().arg("3,2").run(|task| arange(task.extract()?)).unwrap();
        assert_eq!(made, file(&[3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        let task = TestTask::new().input("a.npy", made.clone()).slice(24);
        let written = task.run_in_place(|task| {
            row_sums(task.extract()?, task.extract()?);
            Ok(())
        });
        let written = written.unwrap();
        assert_eq!(written.slice, [1.0f64, 5.0, 9.0].map(f64::to_le_bytes).concat());
        let window = |text: &'static str| {
            let task = TestTask::new().arg(text).input("data", made.clone());
            task.run(|task| mean_of(task.extract()?, task.extract()?)).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!((window("0:3").as_deref(), window("1:3").as_deref()), (Ok("2.5"), Ok("3.5")));
        assert_eq!(window("1-3").unwrap_err(), "\"1-3\" is not START:END");
    }

    #[test]
    fn what_has_no_sum_is_refused() {
        let text = summed(file(&[1], vec![[1.0f32, 2.0]])).unwrap_err();
        assert_eq!(text, "this task does not sum arrays of <c8; save a.astype(float)");
        let task = TestTask::new().input("", file(&[1], vec![1.0])).input("", file(&[2], vec![1.0, 2.0]));
        let text = task.run(|task| add(task.extract()?)).unwrap_err();
        assert_eq!(text, "cannot add arrays of shapes [1] and [2]");
    }
}
