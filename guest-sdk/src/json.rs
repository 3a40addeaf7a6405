//! JSON as a task's parameter and result.

use serde::{Deserialize, Serialize};

use crate::{Error, FromTask, IntoOutput, Output, Task};

/// A value as JSON: a parameter is parsed from the argument, a result is written in compact form.
///
/// ```
/// # use wrun_guest::{Json, TestTask};
/// #[derive(serde::Deserialize)]
/// struct Range { from: i64, to: i64 }
///
/// #[wrun_guest::task]
/// fn numbers(Json(range): Json<Range>) -> Json<Vec<i64>> {
///     Json((range.from..range.to).collect())
/// }
///
/// let task = TestTask::new().arg(r#"{"from": 2, "to": 5}"#);
/// assert_eq!(task.run(|task| Ok(numbers(task.extract()?))).unwrap(), b"[2,3,4]");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<'t, T: Deserialize<'t>> FromTask<'t> for Json<T> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        serde_json::from_slice(task.arg()).map(Json).map_err(|error| {
            // Without its path and parameters, the type's name is the one that the task's author uses.
            let ty = std::any::type_name::<T>();
            let ty = ty.split('<').next().and_then(|path| path.rsplit("::").next()).unwrap_or(ty);
            Error::new(format_args!("argument is not JSON for {ty}: {error}"))
        })
    }
}

impl<T: Serialize> IntoOutput for Json<T> {
    fn into_output(self, output: &mut Output<'_>) -> Result<(), Error> {
        let text = serde_json::to_vec(&self.0)
            .map_err(|error| Error::new(format_args!("result cannot be written as JSON: {error}")))?;
        output.append(&text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestTask;

    #[test]
    fn parse_error_names_the_place() {
        let result = TestTask::new().arg("[1, x]").run(|task| task.extract::<Json<Vec<u8>>>());
        let text = result.unwrap_err();
        assert_eq!(text, "argument is not JSON for Vec: expected value at line 1 column 5");
    }

    #[test]
    fn strings_may_borrow_from_the_argument() {
        let result = TestTask::new().arg("\"abc\"").run(|task| task.extract::<Json<&str>>().map(|json| json.0.len()));
        assert_eq!(result.unwrap(), b"3");
    }
}
