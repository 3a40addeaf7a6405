//! What to do about a refusal, in the words of the command line.

use std::borrow::Cow;

use wrun::TaskError;
use wrun::job::Halted;
use wrun::result::Setting;

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
        Setting::Slow => "leave --slow out, or run it in processes or threads",
        // A later version of the library may know more.
        other => other.advice(),
    }
}

/// What wrun adds to a task's own words: what it knows of the cause, and what to do about it.
pub fn hint(error: &TaskError) -> Option<Cow<'_, str>> {
    match (&error.hint, error.setting.map(advice)) {
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
