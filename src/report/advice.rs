//! What to do about a refusal, in the words of the command line.

use std::borrow::Cow;

use wrun::job::Halted;
use wrun::result::Setting;
use wrun::{Status, TaskError};

/// What to do so that a task, or a request, gets what it was refused: the rest of a sentence.
pub fn advice(setting: Setting) -> &'static str {
    match setting {
        Setting::Memory => "raise it with --memory",
        Setting::OutputSize => "raise it with --max-output",
        Setting::Stack => "raise it with --stack",
        Setting::Fuel => "raise it with --fuel",
        Setting::OpenFiles => "raise it with --max-open-files",
        Setting::HostCallSize => "raise it with --max-host-call",
        Setting::ArgumentSize => "raise it with --max-argument, or pass it as an input",
        Setting::Memories => "raise it with --max-memories",
        Setting::Tables => "raise it with --max-tables",
        Setting::TableElements => "raise it with --max-table-elements",
        Setting::Directories => "grant one with --dir HOST[::GUEST][:rw]",
        Setting::InPlaceFiles => "provide one with --out or --shared",
        Setting::CompileTime => "raise it with --compile-timeout (WRUN_COMPILE_TIMEOUT)",
        Setting::CompileMemory => "raise it with --compile-memory (WRUN_COMPILE_MEMORY)",
        Setting::Precompiled => "allow it with --allow-precompiled, or name the .wasm file",
        Setting::CountFuel => "compile it again with `wrun compile --count-fuel`",
        Setting::Call => "choose one with --call NAME",
        Setting::Timeout => "limit its --fuel instead of --timeout, or run it in processes",
        Setting::ItemSeparator => "use --null if a NUL byte ends each item",
        Setting::FreshInstances => "leave --reuse out",
        Setting::CoreDumps => "leave --coredump out",
        Setting::UnknownImports => "use --unknown-imports trap to let it trap only when it is called",
        Setting::OwnInputs => "leave --files, --split or --file out if tasks need only the names of files",
        Setting::SharedInputs => "leave --input out",
        Setting::Slow => "leave --slow out, or run it in processes or threads",
        Setting::Initializer => "name another one with --init",
        Setting::InitializerDirectories => "make the snapshot with `wrun snapshot --dir HOST[::GUEST]`",
        Setting::Snapshot => "use --no-snapshot to call its initializer in each instance",
        Setting::Scratch => "raise it with --scratch",
        // A later version of the library may know more.
        other => other.advice(),
    }
}

/// What to do about a limit of the system that a message of wrun's own names by an error number, as the standard library does. Worker
/// processes report such errors as text.
///
/// Source: errno(3).
pub fn limit_advice(message: &str) -> Option<&'static str> {
    let is = |number: u32| message.contains(&format!("(os error {number})"));
    if message.contains("ulimit") {
        None
    } else if is(EMFILE) {
        Some("raise the limit of open files (ulimit -n), or use fewer inputs or jobs")
    } else if is(EFBIG) {
        Some("raise the limit of file sizes (ulimit -f)")
    } else if is(EAGAIN) && message.contains("start") {
        Some(
            "raise the limits of processes (ulimit -u, or pids.max of the control group) and of memory (ulimit -d, ulimit -v), or use fewer jobs",
        )
    } else if is(ENOMEM) || message.contains("memory allocation of") {
        Some("raise the limits of memory (ulimit -d, ulimit -v), or use fewer jobs")
    } else {
        None
    }
}

const EAGAIN: u32 = 11;
const ENOMEM: u32 = 12;
const EMFILE: u32 = 24;
const EFBIG: u32 = 27;

/// The warning that a run goes on with fewer workers, because one could not be started for this reason.
pub fn fewer_workers(reason: &str) -> String {
    let advice = limit_advice(reason).map(|advice| format!(": {advice}")).unwrap_or_default();
    format!("warning: the run goes on with fewer workers: one {reason}{advice}")
}

/// What wrun adds to a task's own words: what it knows of the cause, and what to do about it.
pub fn hint(error: &TaskError) -> Option<Cow<'_, str>> {
    // Other messages may be the guest's.
    let is_ours = matches!(error.status, Status::Limit | Status::WorkerLost);
    // The hint of an earlier run has this advice already.
    let is_new = is_ours && error.hint.is_none();
    let advice = error.setting.map(advice).or_else(|| limit_advice(&error.message).filter(|_| is_new));
    match (&error.hint, advice) {
        (Some(hint), Some(advice)) => Some(format!("{hint}; {advice}").into()),
        (Some(hint), None) => Some(hint.into()),
        (None, advice) => advice.map(Cow::from),
    }
}

/// Why a task failed, and what to do about it.
pub fn message(error: &TaskError) -> Cow<'_, str> {
    match hint(error) {
        Some(hint) => format!("{}; {hint}", error.message).into(),
        None => error.message.as_str().into(),
    }
}

/// Why a run ended early by itself.
pub fn halted(why: &Halted) -> String {
    match why {
        Halted::Failures { halt, .. } => format!("{why} (--halt {halt})"),
        _ => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_words_of_the_command_line() {
        for setting in Setting::ALL {
            let said = advice(setting);
            assert!(said.contains("--"), "{setting:?}: {said}");
            assert_ne!(said, setting.advice());
        }
    }
}
