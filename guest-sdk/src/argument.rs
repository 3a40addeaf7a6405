//! The task's argument as text, as bytes, or parsed from text.

use crate::{Error, FromTask, Task};

impl<'t> FromTask<'t> for &'t str {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        task.arg_str()
    }
}

impl<'t> FromTask<'t> for String {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        task.arg_str().map(str::to_owned)
    }
}

impl<'t> FromTask<'t> for &'t [u8] {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(task.arg())
    }
}

impl<'t> FromTask<'t> for Vec<u8> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(task.arg().to_vec())
    }
}

macro_rules! parsed {
    ($($ty:ident)*) => {
        $(
            /// Parses the argument, ignoring white space around it.
            impl<'t> FromTask<'t> for $ty {
                fn from_task(task: &'t Task) -> Result<Self, Error> {
                    let text = task.arg_str()?;
                    text.trim().parse().map_err(|error| {
                        Error::new(format_args!("argument {text:?} is not a valid {}: {error}", stringify!($ty)))
                    })
                }
            }
        )*
    };
}

parsed!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64 bool);

/// The argument, which must be exactly one character; white space counts.
impl<'t> FromTask<'t> for char {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        let text = task.arg_str()?;
        text.parse().map_err(|error| Error::new(format_args!("argument {text:?} is not a valid char: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, FromTask, TestTask};

    fn parsed<T: for<'t> FromTask<'t> + ToString>(arg: &str) -> Result<String, String> {
        let result = TestTask::new().arg(arg).run(|task| Ok::<_, Error>(task.extract::<T>()?.to_string()));
        result.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn numbers_are_parsed() {
        assert_eq!(parsed::<u64>("18446744073709551615").unwrap(), "18446744073709551615");
        assert_eq!(parsed::<f64>(" -0.5\r").unwrap(), "-0.5");
        assert_eq!(parsed::<bool>("true").unwrap(), "true");
        assert_eq!(parsed::<char>(" ").unwrap(), " ");
    }

    #[test]
    fn what_is_no_number_is_named_with_its_type() {
        assert_eq!(
            parsed::<u8>("256").unwrap_err(),
            "argument \"256\" is not a valid u8: number too large to fit in target type"
        );
        assert_eq!(parsed::<f64>("abc").unwrap_err(), "argument \"abc\" is not a valid f64: invalid float literal");
    }

    #[test]
    fn text_must_be_utf8_and_bytes_need_not() {
        let task = || TestTask::new().arg(b"a\xff");
        let text = task().run(|task| task.extract::<&str>().map(str::len));
        assert_eq!(
            text.unwrap_err(),
            "argument \"a\u{fffd}\" is not UTF-8: invalid utf-8 sequence of 1 bytes from index 1"
        );
        assert_eq!(task().run(|task| task.extract::<Vec<u8>>()).unwrap(), b"a\xff");
    }
}
