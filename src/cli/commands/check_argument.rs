//! A check of the arguments of functions before any task runs.

use std::ffi::OsStr;

use wrun::module::{Entry, Function, Scalar, check_arguments};

use crate::cli::errors::usage;
use crate::report::one_line;

/// Checks that an argument fits the parameters of a function of numbers, or of a component's function.
///
/// # Errors
///
/// If it does not. The message names the parameter.
pub fn check_argument(entry: &Entry, argument: &OsStr) -> anyhow::Result<()> {
    match entry {
        Entry::Scalar(function) => check_numbers(function, argument),
        Entry::Function(function) => check_values(function, argument),
        _ => Ok(()),
    }
}

/// Checks that an argument has a value, as WAVE text, for each parameter of a component's function.
fn check_values(function: &Function, argument: &OsStr) -> anyhow::Result<()> {
    let shown = one_line(&function.to_string());
    let problem = match argument.to_str() {
        Some(text) => check_arguments(function, text).err(),
        None => Some("it is not UTF-8".to_owned()),
    };
    problem.map_or(Ok(()), |problem| Err(usage(format!("argument {argument:?} does not fit {shown}: {problem}"))))
}

/// Checks that an argument consists of the numbers that an exported function takes, separated by white space or commas. Workers
/// parse it the same way.
///
/// # Errors
///
/// If there are too few or too many numbers, or one does not fit its parameter.
fn check_numbers(function: &Scalar, argument: &OsStr) -> anyhow::Result<()> {
    let Some(text) = argument.to_str() else {
        return Err(usage(format!("argument {argument:?} does not fit {function}: it is not UTF-8")));
    };
    let words = Scalar::words(text);
    if words.len() != function.params.len() {
        let (given, wanted) = (words.len(), numbers(function.params.len()));
        return Err(usage(format!("argument {argument:?} does not fit {function}: it takes {wanted}, {given} given")));
    }
    match words.iter().zip(&function.params).find(|(word, number)| number.bits(word).is_none()) {
        Some((word, number)) => {
            Err(usage(format!("argument {argument:?} does not fit {function}: {word:?} is not a valid {number}")))
        }
        None => Ok(()),
    }
}

fn numbers(count: usize) -> String {
    match count {
        1 => "1 number".to_owned(),
        count => format!("{count} numbers"),
    }
}

#[cfg(test)]
mod tests {
    use wrun::module::Number;

    use super::*;

    fn check(params: &[Number], argument: &str) -> Result<(), String> {
        let function = Scalar { name: "f".to_owned(), params: params.to_vec(), results: vec![Number::F64] };
        check_numbers(&function, argument.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_must_read_as_the_parameters() {
        assert_eq!(check(&[], ""), Ok(()));
        assert_eq!(check(&[Number::F64], "2"), Ok(()));
        assert_eq!(check(&[Number::I32, Number::F32], " -1,  1e3 "), Ok(()));
        assert_eq!(check(&[Number::I32], "4294967295"), Ok(()));
        assert_eq!(check(&[Number::I64], "18446744073709551615"), Ok(()));
        assert!(check(&[Number::I32], "4294967296").is_err());
        assert!(check(&[Number::I64], "1.5").is_err());
        assert_eq!(
            check(&[Number::F64], "abc").unwrap_err(),
            r#"argument "abc" does not fit f(f64) -> f64: "abc" is not a valid f64"#
        );
        assert_eq!(
            check(&[Number::F64], "1 2").unwrap_err(),
            r#"argument "1 2" does not fit f(f64) -> f64: it takes 1 number, 2 given"#
        );
    }
}
