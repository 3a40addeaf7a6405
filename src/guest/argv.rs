//! The words of a WASI program: its name, then the item, or the user's words with the item filled in.

use super::host_error::{HostError, LimitReached};
use super::state::State;
use crate::ipc::Setting;
use crate::ipc::wire::JobSpec;
use crate::module::{Entry, Scalar};

/// Stands for the item in the words of a program.
const ITEM: &str = "{}";

/// Programs of the system get about this many bytes of arguments (execve(2)), so words of this length are always possible.
const USUAL_WORDS_BYTES: u64 = 2 << 20;

/// The arguments of the task's program.
///
/// # Errors
///
/// Returns an error if the item cannot be an argument, or if the words would be longer than the program's memory, or than an argument
/// may be: a short item can have many places in them.
pub(super) fn argv(state: &State) -> Result<Vec<String>, HostError> {
    let spec = &state.job.spec;
    let item = item_of_program(&state.argument)?;
    check_words(spec, item.len() as u64)?;
    let mut argv = vec![spec.module_name.clone()];
    let entry = spec.functions.get(state.function as usize);
    let has_item = match entry {
        Some(Entry::Scalar(function)) => !function.params.is_empty(),
        _ => !spec.attached && !state.merges,
    };
    match (&spec.argv, entry) {
        (Some(words), _) if has_item => argv.extend(words.iter().map(|word| word.replace(ITEM, item))),
        // Nothing stands for it.
        (Some(words), _) => argv.extend(words.iter().cloned()),
        (None, _) if !has_item => {}
        // The item of a function of numbers is a list of them.
        (None, Some(Entry::Scalar(_))) => argv.extend(Scalar::words(item).into_iter().map(str::to_owned)),
        (None, _) => argv.push(item.to_owned()),
    }
    Ok(argv)
}

/// Checks how long the words of a program are with an item of this length, before they are made.
fn check_words(spec: &JobSpec, item_bytes: u64) -> Result<(), HostError> {
    let length = |word: &String| {
        let places = word.matches(ITEM).count() as u64;
        (word.len() as u64 - places * ITEM.len() as u64).saturating_add(places.saturating_mul(item_bytes))
    };
    let words = spec.argv.as_ref();
    let bytes = words.map_or(item_bytes, |words| words.iter().map(length).fold(0, u64::saturating_add));
    let limits = [
        (spec.memory_bytes, "its memory", Setting::Memory),
        (spec.argument_bytes.max(USUAL_WORDS_BYTES), "they", Setting::ArgumentSize),
    ];
    for (limit, what, setting) in limits {
        if bytes > limit {
            let message = format!(
                "its words have {bytes} bytes, and {what} may have {limit} (they can also be passed as an input)"
            );
            return Err(HostError::Limit(LimitReached::of(setting, message)));
        }
    }
    Ok(())
}

/// A task's argument as a WASI program can have it.
///
/// # Errors
///
/// Returns an error if it contains a NUL byte, which would end it early, or is not UTF-8, which preview 1 requires of arguments.
fn item_of_program(argument: &[u8]) -> Result<&str, HostError> {
    if argument.contains(&0) {
        let message = "its item contains a NUL byte, which an argument of a program cannot".to_owned();
        return Err(HostError::Argument(LimitReached::of(Setting::ItemSeparator, message)));
    }
    std::str::from_utf8(argument).map_err(|_| {
        let message = "its item is not UTF-8, and arguments of a WASI program must be".to_owned();
        HostError::Argument(LimitReached::fixed(message))
    })
}
