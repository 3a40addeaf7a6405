//! Arrow IPC files (the random access format, `.arrow`, also called Feather version 2), read in place.
//!
//! The buffers of a [`RecordBatch`] are windows of the input, so nothing is copied, except buffers that the file does not
//! align for their type (this can happen with 128-bit decimals). Compressed files are not supported. Each batch is mapped
//! when it is asked for, so a file may be larger than memory.
//!
//! ```
//! use wrun_guest::arrow::ArrowFile;
//! use wrun_guest::arrow::array::{Array, Float64Array};
//! use wrun_guest::{Error, Inputs};
//!
//! /// Counts the numbers in the column `fare` of one record batch.
//! #[wrun_guest::task]
//! fn fares(batch: usize, inputs: Inputs) -> Result<usize, Error> {
//!     let table = ArrowFile::open(inputs.named("table")?)?.select(&["fare"])?;
//!     let batch = table.batch(batch)?;
//!     let fares: &Float64Array = batch.column(0).as_any().downcast_ref().ok_or_else(|| Error::new("fares are not f64"))?;
//!     Ok(fares.len() - fares.null_count())
//! }
//! ```

use std::sync::Arc;

use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, convert, root_as_footer};
use arrow_schema::{ArrowError, SchemaRef};

use crate::raw::shared;
use crate::{Error, Input};

pub use arrow_array as array;
pub use arrow_array::RecordBatch;
pub use arrow_schema as schema;

/// The magic bytes at the start and the end of a file.
const MAGIC: &[u8] = b"ARROW1";
/// The bytes after the footer: its length, and the magic bytes.
const TRAILER_BYTES: u64 = 10;

/// A file of record batches. The [module documentation](self) has an example.
///
/// A batch, and everything that shares its buffers, must be dropped before the task ends, because its input is unmapped
/// then. A task that keeps one in a `static` ends with a panic.
#[derive(Debug)]
pub struct ArrowFile<'t> {
    input: Input<'t>,
    schema: SchemaRef,
    decoder: FileDecoder,
    batches: Vec<Block>,
}

impl<'t> ArrowFile<'t> {
    /// Reads the footer and the dictionaries.
    ///
    /// # Errors
    ///
    /// If the input is not such a file, or is damaged.
    pub fn open(input: Input<'t>) -> Result<Self, Error> {
        let footer_bytes = footer_bytes(input)?;
        let footer = root_as_footer(&footer_bytes).map_err(|error| invalid("footer", error))?;
        let schema = footer.schema().ok_or_else(|| Error::new("the Arrow file has no schema"))?;
        let schema = Arc::new(convert::try_fb_to_schema(schema).map_err(|error| invalid("schema", error))?);
        let mut decoder = FileDecoder::new(Arc::clone(&schema), footer.version());
        for block in footer.dictionaries().iter().flatten() {
            let bytes = shared::buffer(map_block(input, block)?);
            decoder.read_dictionary(block, &bytes).map_err(|error| invalid("dictionary", error))?;
        }
        let batches = footer.recordBatches().iter().flatten().copied().collect();
        Ok(ArrowFile { input, schema, decoder, batches })
    }

    /// Restricts batches to these columns, in the file's order; the others are not read at all.
    ///
    /// # Errors
    ///
    /// If there is no such column.
    pub fn select(self, columns: &[&str]) -> Result<Self, Error> {
        let mut indexes = Vec::with_capacity(columns.len());
        for column in columns {
            indexes.push(self.schema.index_of(column).map_err(|_| {
                let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
                Error::new(format_args!(
                    "the Arrow file has no column {column:?}; its columns are {}",
                    names.join(", ")
                ))
            })?);
        }
        indexes.sort_unstable();
        indexes.dedup();
        Ok(ArrowFile { decoder: self.decoder.with_projection(indexes), ..self })
    }

    /// The names and types of all columns of the file.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of record batches.
    pub fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Maps a record batch.
    ///
    /// # Errors
    ///
    /// If there is no such batch, or it is compressed, has 2 GiB or more, or does not match its schema.
    pub fn batch(&self, index: usize) -> Result<RecordBatch, Error> {
        let Some(block) = self.batches.get(index) else {
            let count = self.batches.len();
            return Err(Error::new(format_args!(
                "there is no record batch {index}: the Arrow file has {count}, counted from 0"
            )));
        };
        let bytes = shared::buffer(map_block(self.input, block)?);
        let batch = self.decoder.read_record_batch(block, &bytes).map_err(|error| invalid("record batch", error))?;
        batch.ok_or_else(|| Error::new(format_args!("block {index} of the Arrow file is not a record batch")))
    }
}

/// The file's footer.
fn footer_bytes(input: Input<'_>) -> Result<crate::Window<'_>, Error> {
    let wrong = |text: &str| Error::new(format_args!("the input is not an Arrow IPC file: {text}"));
    let head = input.map_range(..input.len().min(8))?;
    match &*head {
        head if head.starts_with(MAGIC) => {}
        [0xff, 0xff, 0xff, 0xff, ..] => {
            return Err(wrong("it looks like the streaming format; write it with pyarrow.ipc.new_file"));
        }
        [b'P', b'A', b'R', b'1', ..] => {
            return Err(wrong("it is a Parquet file; write the table with pyarrow.ipc.new_file"));
        }
        [b'F', b'E', b'A', b'1', ..] => {
            return Err(wrong("it is a Feather file of version 1; write version 2"));
        }
        _ => return Err(wrong("it does not start like one; write the table with pyarrow.ipc.new_file")),
    }
    let end = input.len().checked_sub(TRAILER_BYTES).ok_or_else(|| wrong("it was cut off"))?;
    let trailer = input.map_range(end..)?;
    let trailer = trailer[..].try_into().expect("the range has this length");
    let len = read_footer_length(trailer).map_err(|_| wrong("it does not end like one; it was cut off"))?;
    let start = end.checked_sub(len as u64).ok_or_else(|| wrong("its footer is longer than the file"))?;
    input.map_range(start..end)
}

/// Maps a block, whose offset and length come from the file and are not trusted.
fn map_block<'t>(input: Input<'t>, block: &Block) -> Result<crate::Window<'t>, Error> {
    let range = || {
        let start = u64::try_from(block.offset()).ok()?;
        let metadata = u64::try_from(block.metaDataLength()).ok()?;
        let end = start.checked_add(metadata)?.checked_add(u64::try_from(block.bodyLength()).ok()?)?;
        // Shorter metadata would not even hold its own length.
        (metadata >= 8 && end <= input.len()).then_some(start..end)
    };
    let range = range().ok_or_else(|| {
        let (offset, len) = (block.offset(), block.bodyLength());
        Error::new(format_args!(
            "the footer of the Arrow file names a block of {len} bytes at offset {offset}, which is not there; the file was cut off"
        ))
    })?;
    input.map_range(range)
}

fn invalid(what: &str, error: impl std::fmt::Display) -> Error {
    Error::new(format_args!("cannot read a {what} of the Arrow file: {error}"))
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Error::new(error)
    }
}

#[cfg(test)]
#[path = "arrow_tests.rs"]
mod tests;
