//! Checks tasks before they go to the executor.

use super::Dispatcher;
use crate::Task;
use crate::ipc::Setting;
use crate::pool::record::Pending;
use crate::result::Status;

/// Why a task cannot run.
pub(super) struct Refusal {
    pub status: Status,
    pub message: String,
    /// What to change so that it can.
    pub setting: Option<Setting>,
}

impl Dispatcher<'_> {
    /// Checks that a task can run at all.
    pub(super) fn admit(&mut self, pending: &Pending) -> Result<(), Refusal> {
        let refuse = |status, message| Refusal { status, message, setting: None };
        let task = pending.task();
        if let Some(slices) = &mut self.slices {
            slices.check(task).map_err(|message| refuse(Status::Error, message))?;
            slices.make_room_for(pending).map_err(|message| refuse(Status::Limit, message))?;
        }
        let (len, longest) = (task.argument.len() as u64, self.longest_argument);
        if let Some(message) = &task.unrunnable {
            return Err(refuse(Status::Error, message.clone()));
        }
        if len > longest {
            let message = format!("its argument has {len} bytes, and the limit is {longest}");
            return Err(Refusal { setting: Some(Setting::ArgumentSize), ..refuse(Status::Limit, message) });
        }
        if task.inputs.len() > Task::MAX_INPUTS {
            let (count, most) = (task.inputs.len(), Task::MAX_INPUTS);
            let message =
                format!("it has {count} inputs of its own, and the most is {most}; join them into fewer files");
            return Err(refuse(Status::Limit, message));
        }
        if let Some(message) = self.unseen_inputs.as_ref().filter(|_| !task.inputs.is_empty()) {
            return Err(Refusal { setting: Some(Setting::OwnInputs), ..refuse(Status::Error, message.clone()) });
        }
        Ok(())
    }
}
