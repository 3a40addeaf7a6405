//! Unpacks arrays: each task inflates the only member of a zip (or `.npz`) file into its output slice.
//!
//! ```text
//! wrun map unpack.wasm --files parts/*.zip --out array.f32 --slice 1M
//! ```
//!
//! The member holds raw little-endian `f32`, or is a `.npy` file of them; the output has only the numbers. Sizes and the
//! member's CRC are checked.

use std::io::{self, Read};

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};
use wrun_guest::{ByteOrder, DtypeKind, Error, Input, Slice, task};
use wrun_npy::{Header, MAX_LEN};

/// Fills the task's output slice with the numbers in its zip file.
#[task]
fn unpack(file: Input, mut out: Slice) -> Result<(), Error> {
    unpack_into(&file.map()?, &mut out)
}

fn unpack_into(file: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let archive = ZipArchive::from_slice(file)
        .map_err(|error| Error::new(format_args!("this is not a zip file, or it is cut off: {error}")))?;
    let mut members = Vec::new();
    for member in archive.entries() {
        members.push(member.map_err(Error::new)?);
    }
    members.retain(|member| !member.is_dir());
    let [member] = &members[..] else {
        let count = members.len();
        return Err(Error::new(format_args!("the zip file has {count} members, but must have exactly one")));
    };
    let data = archive.get_entry(member.wayfinder()).map_err(Error::new)?;
    let inflated: Box<dyn Read> = match member.compression_method() {
        _ if member.flags().is_encrypted() => return Err(Error::new("the zip file is encrypted")),
        CompressionMethod::STORE => Box::new(data.data()),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(data.data())),
        other => return Err(Error::new(format_args!("the zip file is compressed with {other:?}; use deflate"))),
    };
    // Checks the length and the CRC at the end of the data.
    let mut numbers = data.verifying_reader(inflated);
    let len = match member.file_path().as_bytes().ends_with(b".npy") {
        true => read_header(&mut numbers)?.data_bytes(),
        false => member.uncompressed_size_hint(),
    };
    if len != out.len() as u64 {
        let slice = out.len();
        return Err(Error::new(format_args!(
            "the file has {len} bytes of numbers, but the output slice has {slice}; check --slice"
        )));
    }
    numbers.read_exact(out).map_err(error)?;
    match numbers.read(&mut [0]).map_err(error)? {
        0 => Ok(()),
        _ => Err(Error::new("the zip file's member has more data after the numbers")),
    }
}

/// Reads the header of a `.npy` file of `f32`, up to the start of the numbers.
fn read_header(file: &mut impl Read) -> Result<Header, Error> {
    let mut start = vec![0; 12];
    file.read_exact(&mut start).map_err(error)?;
    // The length of the rest has two bytes in version 1.0 and four in others.
    let len = match start[6] {
        1 => 10 + usize::from(u16::from_le_bytes([start[8], start[9]])),
        _ => 12 + u32::from_le_bytes([start[8], start[9], start[10], start[11]]) as usize,
    };
    start.resize(len.clamp(12, MAX_LEN), 0);
    file.read_exact(&mut start[12..]).map_err(error)?;
    let header = Header::parse(&start).map_err(Error::new)?;
    match header.dtype() {
        dtype if (dtype.kind(), dtype.bytes(), dtype.order()) == (DtypeKind::Float, 4, ByteOrder::Little) => Ok(header),
        other => Err(Error::new(format_args!("the array's elements are {other}; save a.astype('<f4')"))),
    }
}

fn error(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::new("the zip file's member ends before its numbers do"),
        _ => Error::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::Write;
    use wrun_guest::TestTask;

    fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut file);
        for (name, bytes) in members {
            let member = archive.new_file(name).compression_method(CompressionMethod::DEFLATE).start();
            let (mut entry, config) = member.unwrap();
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
            writer.write_all(bytes).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        file
    }

    fn unpacked(zip: &[u8], slice: usize) -> Result<Vec<u8>, String> {
        let task = TestTask::new().input("a.zip", zip).slice(slice);
        task.run_in_place(|task| unpack(task.extract()?, task.extract()?)).map(|written| written.slice)
    }

    fn npy(dtype: &str, numbers: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (2,), }}\n");
        [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), numbers].concat()
    }

    #[test]
    fn numbers_come_out_of_raw_members_and_of_arrays() {
        let numbers = [1.5f32, -2.0].map(f32::to_le_bytes).concat();
        assert_eq!(unpacked(&zip(&[("a.f32", &numbers)]), 8).unwrap(), numbers);
        assert_eq!(unpacked(&zip(&[("a.npy", &npy("<f4", &numbers))]), 8).unwrap(), numbers);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let numbers = [0; 8];
        let error = |members: &[(&str, &[u8])], slice| unpacked(&zip(members), slice).unwrap_err();
        let text = "the file has 8 bytes of numbers, but the output slice has 12; check --slice";
        assert_eq!(error(&[("a", &numbers)], 12), text);
        assert_eq!(error(&[("a.npy", &npy("<f4", &numbers))], 12), text);
        let text = "the zip file has 2 members, but must have exactly one";
        assert_eq!(error(&[("a", &numbers), ("b", &numbers)], 8), text);
        let text = "the array's elements are <i4; save a.astype('<f4')";
        assert_eq!(error(&[("a.npy", &npy("<i4", &numbers))], 8), text);
        let text = "the zip file's member ends before its numbers do";
        assert_eq!(error(&[("a.npy", &npy("<f4", &numbers[..7]))], 8), text);
        let text = "the zip file's member has more data after the numbers";
        assert_eq!(error(&[("a.npy", &npy("<f4", &[0; 9]))], 8), text);
    }
}
