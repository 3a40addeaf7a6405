//! The task's result: what a task can return, and how it is written.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::marker::PhantomData;

use crate::raw::host;
use crate::{Error, FromTask, OutputBuffer, Task};

/// A writer that appends to the task's result; a parameter for tasks that write their result bit by bit.
///
/// What the function returns is appended. Each write is a call into the host, so use a
/// [`BufWriter`](std::io::BufWriter) for many small ones.
///
/// ```
/// # use std::io::Write;
/// # use wrun_guest::{Error, Output, TestTask};
/// #[wrun_guest::task]
/// fn squares(count: u64, mut output: Output) -> std::io::Result<()> {
///     (0..count).try_for_each(|n| writeln!(output, "{}", n * n))
/// }
///
/// let result = TestTask::new().arg("3").run(|task| Ok(squares(task.extract()?, task.extract()?)));
/// assert_eq!(result.unwrap(), b"0\n1\n4\n");
/// ```
#[derive(Debug)]
pub struct Output<'t> {
    _task: PhantomData<&'t Task>,
}

impl<'t> Output<'t> {
    pub(crate) fn new(_task: &'t Task) -> Self {
        Output { _task: PhantomData }
    }

    /// The same writer, for functions that take one by value.
    pub(crate) fn reborrow(&mut self) -> Output<'_> {
        Output { _task: PhantomData }
    }

    /// Appends these bytes.
    pub fn append(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            host::output_write(bytes);
        }
    }

    /// A buffer of `len` zero bytes that becomes the whole result without a copy.
    ///
    /// # Panics
    ///
    /// If `len` is 2 GiB or more. The host ends the task if it has already written a result.
    pub fn map(self, len: usize) -> OutputBuffer<'t> {
        assert!(len <= i32::MAX as usize, "a result of {len} bytes cannot be mapped");
        OutputBuffer::map(self, len)
    }
}

impl io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'t> FromTask<'t> for Output<'t> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(task.output())
    }
}

/// A type that a task can return: its value becomes the task's result.
///
/// Text and bytes are written as they are, numbers as decimal text that parses back to the same number, and `()` adds
/// nothing to what an [`Output`] has written. An `Err` fails the task with the error's text, including its causes if the
/// error type writes them for `{:#}` (as `anyhow` does). `Option` is not supported, because `None` could be an empty result
/// or a failure: say which with `unwrap_or_default` or `ok_or`.
///
/// Implement it for a type of your own to return that:
///
/// ```
/// use wrun_guest::{Error, IntoOutput, Output, TestTask};
///
/// /// A point, written as `X,Y`.
/// struct Point(f64, f64);
///
/// impl IntoOutput for Point {
///     fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
///         output.append(format!("{},{}", self.0, self.1).as_bytes());
///         Ok(())
///     }
/// }
///
/// #[wrun_guest::task]
/// fn unit(degrees: f64) -> Point {
///     Point(degrees.to_radians().cos(), degrees.to_radians().sin())
/// }
///
/// assert_eq!(TestTask::new().arg("0").run(|task| Ok(unit(task.extract()?))).unwrap(), b"1,0");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a task",
    label = "wrun cannot write this as a task's result",
    note = "a result is `()`, text (`String`, `&str`), bytes (`Vec<u8>`, `&[u8]`), a number, `bool`, `char`, `Json<T>` with \
            `T: Serialize`, `OutputBuffer`, `Npy`, or a `Result` of one of these with an error that implements `Display`"
)]
pub trait IntoOutput {
    /// Writes the value to the task's result, or returns the reason why the task failed.
    ///
    /// # Errors
    ///
    /// The task's own error, or an error if the value cannot be written.
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error>;
}

impl IntoOutput for () {
    fn into_output(self, _output: &mut Output<'_>) -> Result<(), Error> {
        Ok(())
    }
}

/// The buffer is already the result.
impl IntoOutput for OutputBuffer<'_> {
    fn into_output(self, _output: &mut Output<'_>) -> Result<(), Error> {
        Ok(())
    }
}

impl<T: IntoOutput, E: fmt::Display> IntoOutput for Result<T, E> {
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
        match self {
            Ok(value) => value.into_output(output),
            Err(error) => Err(Error::new(format_args!("{error:#}"))),
        }
    }
}

macro_rules! bytes {
    ($($ty:ty)*) => {
        $(
            impl IntoOutput for $ty {
                fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
                    output.append(AsRef::<[u8]>::as_ref(&*self));
                    Ok(())
                }
            }
        )*
    };
}

bytes!(&str String Box<str> &[u8] Vec<u8> Box<[u8]>);

impl<const N: usize> IntoOutput for [u8; N] {
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
        output.append(&self);
        Ok(())
    }
}

impl IntoOutput for Cow<'_, str> {
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
        (*self).into_output(output)
    }
}

impl IntoOutput for Cow<'_, [u8]> {
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
        (*self).into_output(output)
    }
}

macro_rules! displayed {
    ($($ty:ident)*) => {
        $(
            impl IntoOutput for $ty {
                fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
                    self.to_string().into_output(output)
                }
            }
        )*
    };
}

displayed!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128 usize isize f32 f64 bool char);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestTask;

    fn written(value: impl IntoOutput) -> Result<String, String> {
        TestTask::new().run(|_| Ok(value)).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn values_are_written_as_they_read() {
        assert_eq!(written(()).unwrap(), "");
        assert_eq!(written("text").unwrap(), "text");
        assert_eq!(written(*b"bytes").unwrap(), "bytes");
        assert_eq!(written(Cow::Borrowed("cow")).unwrap(), "cow");
        assert_eq!(written(-7i8).unwrap(), "-7");
        assert_eq!(written(0.1f64).unwrap(), "0.1");
        assert_eq!(written(Ok::<_, String>(true)).unwrap(), "true");
    }

    #[test]
    fn error_is_the_message() {
        assert_eq!(written(Err::<u8, _>("line 3: not a number")).unwrap_err(), "line 3: not a number");
    }

    #[test]
    fn mapped_buffer_is_the_result() {
        let result = TestTask::new().run(|task| {
            let mut buffer = task.output().map(4);
            assert_eq!(*buffer, [0; 4]);
            buffer[1..3].copy_from_slice(b"ab");
            Ok::<_, Error>(())
        });
        assert_eq!(result.unwrap(), b"\0ab\0");
    }
}
