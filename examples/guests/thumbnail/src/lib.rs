//! Thumbnails: each task decodes one mapped PNG or JPEG file and returns a PNG of at most 256 by 256 pixels.
//!
//! ```text
//! wrun map thumbnail.wasm --files photos/*.jpg --results thumbnails
//! ```

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use wrun_guest::{Error, Input, task};

/// The longest side of a thumbnail in pixels, unless the variable `SIDE` is set.
const SIDE: u32 = 256;

/// The largest value of `SIDE`.
const MAX_SIDE: u32 = 4096;

/// The image in the task's file, upright, as a PNG file that fits into a square of [`SIDE`] (`--env SIDE=512`).
#[task]
fn thumbnail(file: Input) -> Result<Vec<u8>, Error> {
    let side = side(std::env::var("SIDE").ok())?;
    let (image, orientation) = decode(&file.map()?)?;
    let mut image = if image.width().max(image.height()) > side { image.thumbnail(side, side) } else { image };
    image.apply_orientation(orientation);
    let mut png = Cursor::new(Vec::new());
    image.write_to(&mut png, ImageFormat::Png).map_err(Error::new)?;
    Ok(png.into_inner())
}

fn side(variable: Option<String>) -> Result<u32, Error> {
    let Some(text) = variable else { return Ok(SIDE) };
    let side = text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    side.ok_or_else(|| {
        Error::new(format_args!("SIDE is {text:?}, but must be a number of pixels from 1 to {MAX_SIDE}"))
    })
}

/// The image, and how the camera was held.
fn decode(file: &[u8]) -> Result<(DynamicImage, Orientation), Error> {
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(Error::new)?;
    match reader.format() {
        None => return Err(Error::new("this is not a PNG or JPEG file")),
        // The decoder would return the part that is there, and grey below.
        Some(ImageFormat::Jpeg) if !is_whole_jpeg(file) => return Err(Error::new("the image is cut off")),
        Some(_) => {}
    }
    // The task's memory limit is enough.
    reader.limits(Limits::no_limits());
    let mut decoder = reader.into_decoder().map_err(error)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((DynamicImage::from_decoder(decoder).map_err(error)?, orientation))
}

fn error(error: ImageError) -> Error {
    match error {
        // Without limits of its own, the decoder reports this for more memory than it could ever ask for.
        ImageError::Limits(_) => Error::new("the image has more pixels than the memory of any task can hold"),
        other => Error::new(other),
    }
}

/// Whether a JPEG file has its end marker (EOI): ITU-T T.81, B.1.1.
fn is_whole_jpeg(file: &[u8]) -> bool {
    let mut at = 2;
    loop {
        match file.get(at..) {
            Some([0xff, 0xd9, ..]) => return true,
            // In compressed data: a byte 0xff, or a restart marker.
            Some([0xff, 0x00 | 0x01 | 0xd0..=0xd7, ..]) => at += 2,
            Some([0xff, 0xff, ..]) => at += 1,
            // A segment, with its length.
            Some([0xff, _, a, b, ..]) => at += 2 + usize::from(u16::from_be_bytes([*a, *b])),
            Some([_, _, ..]) => at += 1,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};
    use wrun_guest::TestTask;

    fn thumbnail_of(file: impl AsRef<[u8]>) -> Result<Vec<u8>, String> {
        TestTask::new().input("a", file).run(|task| thumbnail(task.extract()?))
    }

    /// Red on the left, blue on the right.
    fn flag(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let color = |x, _| if x < width / 2 { Rgb([200, 0, 0]) } else { Rgb([0, 0, 200]) };
        let mut file = Cursor::new(Vec::new());
        RgbImage::from_fn(width, height, color).write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn thumbnails_keep_colours_and_proportions() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let png = thumbnail_of(flag(1024, 512, format)).unwrap();
            let small = image::load_from_memory_with_format(&png, ImageFormat::Png).unwrap().to_rgb8();
            assert_eq!(small.dimensions(), (256, 128));
            let near = |x, wanted: [u8; 3]| small.get_pixel(x, 64).0.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) < 8);
            assert!(near(10, [200, 0, 0]) && near(240, [0, 0, 200]), "{format:?}");
        }
    }

    #[test]
    fn small_images_are_not_enlarged() {
        let png = thumbnail_of(flag(8, 4, ImageFormat::Png)).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8().dimensions(), (8, 4));
    }

    #[test]
    fn images_are_turned_as_the_camera_was_held() {
        // A JPEG file with an Exif segment that says "turn by 90 degrees to the right" (orientation 6).
        let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let jpeg = flag(64, 32, ImageFormat::Jpeg);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        let turned = [&jpeg[..2], &[0xff, 0xe1], &length, exif, &jpeg[2..]].concat();
        let image = image::load_from_memory(&thumbnail_of(turned).unwrap()).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (32, 64));
        assert!(image.get_pixel(16, 5).0[0] > 150 && image.get_pixel(16, 60).0[2] > 150);
    }

    #[test]
    fn damaged_images_are_refused() {
        assert_eq!(thumbnail_of("hello").unwrap_err(), "this is not a PNG or JPEG file");
        for (format, text) in
            [(ImageFormat::Png, "unexpected end of file"), (ImageFormat::Jpeg, "the image is cut off")]
        {
            let whole = flag(64, 64, format);
            for len in [whole.len() / 2, whole.len() - 13] {
                assert_eq!(thumbnail_of(&whole[..len]).unwrap_err(), text, "{len} bytes of {format:?}");
            }
        }
    }

    #[test]
    fn the_side_is_checked() {
        assert_eq!((side(None).unwrap(), side(Some("512".into())).unwrap()), (256, 512));
        let text = side(Some("0".into())).unwrap_err().to_string();
        assert_eq!(text, "SIDE is \"0\", but must be a number of pixels from 1 to 4096");
    }
}
