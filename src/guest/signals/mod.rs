//! The signal handlers of threads that run guests.

mod faults;
mod interrupted;
mod watched;

pub(super) use faults::{ask_about_faults, install_handler};
pub(crate) use interrupted::{answer_questions, this_thread_runs_guests};
pub(super) use interrupted::{set_loaded, while_instantiating};
pub(super) use watched::watch;
