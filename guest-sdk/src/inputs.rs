//! All inputs of a task, together.

use std::fmt;

use crate::raw::host;
use crate::{Error, FromTask, Input, Task};

/// The task's inputs, by position or by name.
///
/// If the job's items are files or pieces of files, the task's own comes first; the job's shared inputs follow in the order
/// of the command line. A reduce task has the results that it merges, in order; it finds shared inputs by name only.
///
/// ```
/// # use wrun_guest::{Error, Inputs, TestTask};
/// /// The total size of all files in bytes.
/// #[wrun_guest::task]
/// fn total(inputs: Inputs) -> u64 {
///     inputs.iter().map(|input| input.len()).sum()
/// }
///
/// let task = TestTask::new().input("a", "12").input("b", "345");
/// assert_eq!(task.run(|task| Ok(total(task.extract()?))).unwrap(), b"5");
/// ```
#[derive(Clone, Copy)]
pub struct Inputs<'t> {
    task: &'t Task,
    count: u32,
}

impl<'t> Inputs<'t> {
    pub(crate) fn new(task: &'t Task) -> Self {
        Inputs { task, count: host::input_count() }
    }

    /// The number of inputs.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The input at this position, from 0; `None` if there are fewer.
    pub fn get(&self, index: u32) -> Option<Input<'t>> {
        (index < self.count).then(|| Input::new(self.task, index))
    }

    /// The input with this name, if there is one; names are given with `--input NAME=PATH`.
    pub fn find(&self, name: &str) -> Option<Input<'t>> {
        // A merge finds shared inputs by name, although it does not count them.
        host::input_find(name).map(|index| Input::new(self.task, index))
    }

    /// The input with this name, for tasks that need it.
    ///
    /// # Errors
    ///
    /// If there is none; the message says how to give it.
    pub fn named(&self, name: &str) -> Result<Input<'t>, Error> {
        self.find(name).ok_or_else(|| Error::new(format_args!("no input is named {name:?}: add --input {name}=PATH")))
    }

    /// All inputs, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Input<'t>> + DoubleEndedIterator + use<'t> {
        (0..self.count).map({
            let task = self.task;
            move |index| Input::new(task, index)
        })
    }
}

impl<'t> FromTask<'t> for Inputs<'t> {
    fn from_task(task: &'t Task) -> Result<Self, Error> {
        Ok(task.inputs())
    }
}

impl fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Inputs, TestTask};

    #[test]
    fn inputs_are_found_by_position_and_name() {
        let result = TestTask::new().input("item", "1").input("pattern", "23").run(|task| {
            let inputs: Inputs = task.extract()?;
            assert_eq!(inputs.iter().map(|input| input.len()).collect::<Vec<_>>(), [1, 2]);
            assert_eq!(inputs.get(1).map(|input| input.len()), Some(2));
            assert!(inputs.get(2).is_none() && inputs.find("patter").is_none());
            assert_eq!(inputs.named("pattern")?.index(), 1);
            Ok::<_, Error>(inputs.named("table").unwrap_err().to_string())
        });
        assert_eq!(result.unwrap(), b"no input is named \"table\": add --input table=PATH");
    }
}
