use std::ops::Range;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, Int64Array};

use super::*;
use crate::{Inputs, TestTask};

/// The example's file, written by pyarrow.
fn trips() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/guests/arrow/trips.arrow");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn on(file: impl AsRef<[u8]>, task: impl FnOnce(ArrowFile<'_>) -> Result<(), Error>) -> Result<(), String> {
    TestTask::new().input("table", file).run(|found| task(ArrowFile::open(found.extract()?)?)).map(drop)
}

#[test]
fn batches_are_those_of_the_file() {
    let read = on(trips(), |table| {
        let names: Vec<&str> = table.schema().fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!((names, table.batches()), (vec!["kind", "distance", "fare"], 5));
        let mut rows = 0;
        for index in 0..table.batches() {
            let batch = table.batch(index)?;
            assert_eq!(batch.num_columns(), 3);
            rows += batch.num_rows();
        }
        assert_eq!(rows, 500);
        assert_eq!(
            table.batch(5).unwrap_err().to_string(),
            "there is no record batch 5: the Arrow file has 5, counted from 0"
        );
        let fares = table.select(&["fare"])?.batch(0)?;
        assert_eq!((fares.num_columns(), fares.schema().field(0).name().as_str()), (1, "fare"));
        Ok(())
    });
    read.unwrap();
}

#[test]
fn buffers_lie_in_the_window() {
    let file = trips();
    let read = TestTask::new().input("table", &file).run(|task| {
        let input: Input = task.extract()?;
        let table = ArrowFile::open(input)?;
        let open = crate::raw::host::open_maps();
        for index in 0..table.batches() {
            let block = table.batches[index];
            // Mapping the same range again gives the same window.
            let window = map_block(input, &block)?;
            let Range { start, end } = window.as_ptr_range();
            let batch = table.batch(index)?;
            let mut buffers = 0;
            for column in &batch.columns()[1..] {
                for buffer in column.to_data().buffers() {
                    assert!((start..end).contains(&buffer.as_ptr()) && buffer.as_ptr().addr() % 8 == 0);
                    buffers += 1;
                }
            }
            assert_eq!(buffers, 2);
            drop((batch, window));
            assert_eq!(crate::raw::host::open_maps(), open, "a window was left after its batch was dropped");
        }
        Ok::<_, Error>(())
    });
    read.unwrap();
}

#[test]
fn a_batch_that_outlives_its_task_ends_it() {
    let kept = std::panic::catch_unwind(|| {
        let mut kept = None;
        let _ = on(trips(), |table| {
            kept = Some(table.batch(0)?);
            Ok(())
        });
        kept
    });
    let text = kept.unwrap_err().downcast::<&str>().unwrap();
    assert!(text.starts_with("the task kept a record batch"), "{text}");
    // A copy may be kept.
    let mut copy = None;
    on(trips(), |table| {
        let batch = table.batch(0)?;
        let fares = batch.column_by_name("fare").expect("a column").as_primitive::<Int64Type>();
        copy = Some(fares.iter().collect::<Int64Array>());
        Ok(())
    })
    .unwrap();
    assert_eq!(copy.unwrap().len(), 100);
}

#[test]
fn other_files_are_refused() {
    let refusal = |file: &[u8]| on(file, |_| Ok(())).unwrap_err();
    let file = trips();
    for (bytes, text) in [
        (&b""[..], "it does not start like one"),
        (b"\xff\xff\xff\xff\x10\0\0\0", "it looks like the streaming format"),
        (b"PAR1....PAR1", "it is a Parquet file"),
        (b"FEA1....FEA1", "it is a Feather file of version 1"),
        (b"ARROW1", "it was cut off"),
        (&file[..file.len() - 1], "it does not end like one; it was cut off"),
        (b"ARROW1\0\0\xff\xff\xff\x7fARROW1", "its footer is longer than the file"),
    ] {
        let refusal = refusal(bytes);
        assert!(refusal.starts_with("the input is not an Arrow IPC file: ") && refusal.contains(text), "{refusal}");
    }
    let text = on(&file, |table| table.select(&["price"]).map(drop)).unwrap_err();
    assert_eq!(text, r#"the Arrow file has no column "price"; its columns are kind, distance, fare"#);
    // The blocks that the footer names are missing.
    let footer = [b"ARROW1\0\0", &file[file.len() - 2000..]].concat();
    assert!(
        refusal(&footer).contains("cut off") || refusal(&footer).starts_with("cannot read a"),
        "{}",
        refusal(&footer)
    );
}

#[test]
fn damaged_files_are_errors_or_panics() {
    let file = trips();
    for at in (0..file.len()).step_by(97) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x55;
        let _ = std::panic::catch_unwind(|| {
            on(damaged, |table| (0..table.batches()).try_for_each(|index| table.batch(index).map(drop)))
        });
    }
    // The instance can only be used again if none of them left a window behind.
    let inputs =
        TestTask::new().input("table", file).run(|task| task.extract::<Inputs>().map(|inputs| u64::from(inputs.len())));
    assert_eq!(inputs.unwrap(), b"1");
}
