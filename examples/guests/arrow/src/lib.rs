//! Sums the fares of long trips by kind, from an Arrow file, with one task per record batch.
//!
//! ```text
//! wrun run arrow.wasm --call batches --input table=trips.arrow |
//!     wrun map arrow.wasm --call fares --input table=trips.arrow --reduce merge
//! ```
//!
//! All tasks map the same file and read their batch in place; only the columns that they name are read. A result has a
//! line `KIND TRIPS CENTS` for each kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wrun_guest::arrow::ArrowFile;
use wrun_guest::arrow::array::cast::AsArray;
use wrun_guest::arrow::array::types::{Float64Type, Int64Type};
use wrun_guest::arrow::array::{Array, StringArray};
use wrun_guest::{Error, Inputs, task};

/// The minimum distance of a long trip in km.
const LONG: f64 = 5.0;

/// Trips and cents, by kind.
type Table = BTreeMap<String, (u64, i64)>;

/// The numbers of the table's record batches, one per line: the items for `fares`.
#[task]
fn batches(inputs: Inputs) -> Result<String, Error> {
    let table = ArrowFile::open(inputs.named("table")?)?;
    Ok((0..table.batches()).map(|batch| format!("{batch}\n")).collect())
}

/// The fares of long trips in one record batch of the table; trips without a distance or fare do not count.
#[task]
fn fares(batch: usize, inputs: Inputs) -> Result<String, Error> {
    let table = ArrowFile::open(inputs.named("table")?)?.select(&["kind", "distance", "fare"])?;
    let batch = table.batch(batch)?;
    let wrong = |column: &str| {
        Error::new(format_args!("column {column} is missing or does not have the type that make.py writes"))
    };
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| wrong(name));

    let distances = column("distance")?.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong("distance"))?;
    let fares = column("fare")?.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong("fare"))?;
    let kinds = column("kind")?;
    let kinds = kinds.as_any_dictionary_opt().ok_or_else(|| wrong("kind"))?;
    let names: &StringArray = kinds.values().as_string_opt().ok_or_else(|| wrong("kind"))?;

    let mut sums = vec![(0, 0); names.len()];
    for (row, key) in kinds.normalized_keys().into_iter().enumerate() {
        if distances.is_valid(row) && distances.value(row) >= LONG && fares.is_valid(row) && kinds.keys().is_valid(row)
        {
            sums[key].0 += 1;
            sums[key].1 += fares.value(row);
        }
    }
    let named = names.iter().zip(sums).filter_map(|(name, sum)| Some((name?.to_owned(), sum)));
    Ok(text(&named.filter(|(_, (trips, _))| *trips > 0).collect()))
}

/// The sums of several results.
#[task]
fn merge(results: Inputs) -> Result<String, Error> {
    let mut table = Table::new();
    for result in results.iter() {
        for line in result.lines() {
            let (kind, trips, cents) = parse(&line).ok_or_else(|| {
                Error::new(format_args!("not a line of a result: {:?}", String::from_utf8_lossy(&line)))
            })?;
            let sum = table.entry(kind.to_owned()).or_default();
            *sum = (sum.0 + trips, sum.1 + cents);
        }
    }
    Ok(text(&table))
}

fn parse(line: &[u8]) -> Option<(&str, u64, i64)> {
    let mut words = std::str::from_utf8(line).ok()?.rsplitn(3, ' ');
    let (cents, trips, kind) = (words.next()?, words.next()?, words.next()?);
    Some((kind, trips.parse().ok()?, cents.parse().ok()?))
}

fn text(table: &Table) -> String {
    table.iter().fold(String::new(), |mut text, (kind, (trips, cents))| {
        writeln!(text, "{kind} {trips} {cents}").expect("writing to a string cannot fail");
        text
    })
}
