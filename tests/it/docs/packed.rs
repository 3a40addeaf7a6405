//! PNG and zip files, written and read without the crates that the examples use.

use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
use miniz_oxide::inflate::decompress_to_vec_zlib;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The CRC of PNG (annex D) and of zip files.
pub fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, step)
}

/// A PNG file in 8-bit RGB. It contains the rows in `pixels`, even if these are fewer than `height`.
pub fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let named = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    // Each row begins with its filter: none.
    let rows: Vec<u8> = pixels.chunks(width as usize * 3).flat_map(|row| [&[0], row].concat()).collect();
    let data = compress_to_vec_zlib(&rows, 1);
    [PNG, &chunk(b"IHDR", &header), &chunk(b"IDAT", &data), &chunk(b"IEND", b"")].concat()
}

/// Width, height and pixels of a PNG file in 8-bit RGB.
pub fn read_png(file: &[u8]) -> (usize, usize, Vec<u8>) {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    let mut rest = file.strip_prefix(PNG).expect("a PNG file");
    let (mut size, mut data) = ((0, 0), Vec::new());
    while !rest.is_empty() {
        let (kind, body) = (&rest[4..8], &rest[8..8 + number(rest)]);
        match kind {
            b"IHDR" => {
                assert_eq!(body[8..], [8, 2, 0, 0, 0], "8 bits, RGB, not interlaced");
                size = (number(body), number(&body[4..]));
            }
            b"IDAT" => data.extend_from_slice(body),
            _ => {}
        }
        rest = &rest[12 + body.len()..];
    }
    let rows = decompress_to_vec_zlib(&data).expect("compressed rows");
    let mut pixels: Vec<u8> = Vec::new();
    for row in rows.chunks(1 + size.0 * 3) {
        let start = pixels.len();
        for (at, byte) in row[1..].iter().enumerate() {
            let before = |back: usize, at: usize| start.checked_sub(back).map_or(0, |above| pixels[above + at]);
            let (left, above) = (if at < 3 { 0 } else { before(0, at - 3) }, before(size.0 * 3, at));
            let corner = if at < 3 { 0 } else { before(size.0 * 3, at - 3) };
            pixels.push(byte.wrapping_add(predicted(row[0], left, above, corner)));
        }
    }
    assert_eq!(pixels.len(), size.0 * size.1 * 3);
    (size.0, size.1, pixels)
}

/// What PNG's filter predicts for a byte from its neighbours (PNG, 9.2).
fn predicted(filter: u8, left: u8, above: u8, corner: u8) -> u8 {
    match filter {
        0 => 0,
        1 => left,
        2 => above,
        3 => u16::midpoint(left.into(), above.into()) as u8,
        4 => {
            let estimate = i16::from(left) + i16::from(above) - i16::from(corner);
            [left, above, corner].into_iter().min_by_key(|near| estimate.abs_diff(i16::from(*near))).expect("three")
        }
        _ => panic!("PNG has no filter {filter}"),
    }
}

/// A zip file with one member, deflated (APPNOTE 4.3).
pub fn zip(name: &str, member: &[u8]) -> Vec<u8> {
    let data = compress_to_vec(member, 6);
    let short = |numbers: &[u16]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let long =
        |numbers: &[usize]| numbers.iter().flat_map(|number| (*number as u32).to_le_bytes()).collect::<Vec<u8>>();
    // Version 2.0, no flags, deflate, midnight of the first day.
    let common = [short(&[20, 0, 8, 0, 0x21]), long(&[crc32(member) as usize, data.len(), member.len()])].concat();
    let lengths = short(&[name.len() as u16, 0]);
    let local = [&b"PK\x03\x04"[..], &common, &lengths, name.as_bytes(), &data].concat();
    let entry = [b"PK\x01\x02", &short(&[20])[..], &common, &lengths, &[0; 14], name.as_bytes()].concat();
    let sizes = long(&[entry.len(), local.len()]);
    [&local, &entry, &b"PK\x05\x06"[..], &short(&[0, 0, 1, 1]), &sizes, &[0, 0]].concat()
}
