//! All inputs of a task.

use std::fmt;

use crate::raw::host;
use crate::{Error, FromTask, Input, Task};

/// The task's inputs, by position or by name.
///
/// A task's own file or piece comes first, where the job's items are such, then the job's shared inputs in the order
/// of the command line. For a reduce task they are the results that it merges, in order; it finds shared inputs by name only.
///
/// ```
/// # use wrun_guest::{Error, Inputs, TestTask};
/// /// How many bytes there are in all files together.
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

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The input at that position, from 0, where there is one.
    pub fn get(&self, index: u32) -> Option<Input<'t>> {
        (index < self.count).then(|| Input::new(self.task, index))
    }

    /// The input of that name, where there is one; a name is what `--input NAME=PATH` gives.
    pub fn find(&self, name: &str) -> Option<Input<'t>> {
        // A merge finds inputs by name that it does not count.
        host::input_find(name).map(|index| Input::new(self.task, index))
    }

    /// The input of that name, for tasks that cannot work without it.
    ///
    /// # Errors
    ///
    /// When there is none, with a text that says how to give it.
    pub fn named(&self, name: &str) -> Result<Input<'t>, Error> {
        self.find(name).ok_or_else(|| Error::new(format_args!("no input is named {name:?}: add --input {name}=PATH")))
    }

    /// All of them, in order.
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
