//! Functions of numbers: parses arguments from text and prints results as text.

use std::fmt::Write;

use wasmtime::Val;

use crate::module::{Number, Scalar};
use crate::shown::shown;

/// Parses the arguments of `scalar`, separated by white space or commas.
///
/// # Errors
///
/// Returns a message for the user if there are too few or too many, or if one is not of its parameter's type.
pub(super) fn parse(scalar: &Scalar, text: &[u8]) -> Result<Vec<Val>, String> {
    if text.len() > MAX_TEXT_BYTES {
        let (name, count, len) = (&scalar.name, scalar.params.len(), text.len());
        return Err(format!("`{name}` takes {count} numbers, in at most {MAX_TEXT_BYTES} bytes, not {len}"));
    }
    let text = shown(text);
    let words = Scalar::words(&text);
    if words.len() != scalar.params.len() {
        return Err(format!("`{}` takes {} numbers, not {}: {text:?}", scalar.name, scalar.params.len(), words.len()));
    }
    scalar.params.iter().zip(words).map(|(&ty, word)| value(ty, word)).collect()
}

/// The longest argument text: a function has at most 1,000 parameters, and messages quote the text.
const MAX_TEXT_BYTES: usize = 64 << 10;

fn value(ty: Number, word: &str) -> Result<Val, String> {
    let bits = ty.bits(word).ok_or_else(|| format!("{word:?} is not a valid {ty}"))?;
    Ok(match ty {
        Number::I32 => Val::I32(bits as i32),
        Number::I64 => Val::I64(bits as i64),
        Number::F32 => Val::F32(bits as u32),
        Number::F64 => Val::F64(bits),
    })
}

/// Appends the results, separated by spaces. Floats are printed in the shortest form that reads back as the same number.
pub(super) fn print(results: &[Val], to: &mut Vec<u8>) {
    let mut text = String::new();
    for (index, value) in results.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        let written = match value {
            Val::I32(number) => write!(text, "{number}"),
            Val::I64(number) => write!(text, "{number}"),
            Val::F32(bits) => write!(text, "{}", f32::from_bits(*bits)),
            Val::F64(bits) => write!(text, "{}", f64::from_bits(*bits)),
            other => write!(text, "{other:?}"),
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    to.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(params: &[Number]) -> Scalar {
        Scalar { name: "f".into(), params: params.into(), results: vec![] }
    }

    #[test]
    fn arguments_are_parsed_by_type() {
        let all = scalar(&[Number::I32, Number::I64, Number::F32, Number::F64]);
        let values = parse(&all, b"4294967295, -1 2.5\t1e3").expect("four numbers");
        let mut text = Vec::new();
        print(&values, &mut text);
        assert_eq!(text, b"-1 -1 2.5 1000");
    }

    #[test]
    fn wrong_arguments_are_named() {
        let one = scalar(&[Number::F64]);
        assert_eq!(parse(&one, b"abc").expect_err("no number"), "\"abc\" is not a valid f64");
        assert_eq!(parse(&one, b"1 2").expect_err("too many"), "`f` takes 1 numbers, not 2: \"1 2\"");
        assert!(parse(&scalar(&[Number::I32]), b"4294967296").is_err());
        assert!(parse(&scalar(&[Number::I32]), b"1.5").is_err());
        let long = "1 ".repeat(MAX_TEXT_BYTES / 2);
        assert!(
            parse(&one, long.as_bytes()).expect_err("too many").starts_with("`f` takes 1 numbers, not 32768: \"1 1")
        );
        let message = "`f` takes 1 numbers, in at most 65536 bytes, not 65537";
        assert_eq!(parse(&one, format!("{long}1").as_bytes()).expect_err("too long"), message);
    }
}
