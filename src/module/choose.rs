//! Chooses the function of a module that a task calls.

use super::description::Description;
use super::explain::one_line;
use super::task_world::DEFAULT_TASK;
use crate::ipc::Setting;
use crate::{Error, Result};
use wrun_ipc::entry::{COMMAND_EXPORT, Entry, Function, Scalar};

/// The most names in one message.
const MAX_NAMES: usize = 12;

/// Why there is no function to call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoEntry {
    /// The rest of a sentence that begins with the module.
    pub problem: String,
    /// Whether naming a function helps.
    pub setting: Option<Setting>,
}

impl NoEntry {
    fn of_several(problem: String) -> NoEntry {
        NoEntry { problem, setting: Some(Setting::Call) }
    }

    /// The error about the module of this name.
    pub fn into_error(self, module: &str) -> Error {
        let error = Error::module(format!("{module} {}", self.problem));
        match self.setting {
            Some(setting) => error.because_of(setting),
            None => error,
        }
    }
}

impl From<String> for NoEntry {
    fn from(problem: String) -> NoEntry {
        NoEntry { problem, setting: None }
    }
}

impl Description {
    /// What a task calls.
    ///
    /// With a name: the SDK task, else the numeric function, else `_start`. Without one: the only SDK task besides the one
    /// named by `reduce`, else `_start`, else the only numeric function, or of several the one without a name.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such function, or if there are several to choose from; the message lists them.
    pub fn entry(&self, call: Option<&str>, reduce: Option<&str>) -> Result<Entry> {
        self.choose(call, reduce).map_err(|refused| refused.into_error("the module"))
    }

    /// Like [`Description::entry`]. The error continues a sentence that begins with the module.
    pub(super) fn choose(&self, call: Option<&str>, reduce: Option<&str>) -> Result<Entry, NoEntry> {
        match call {
            Some(name) => self.named(name),
            None => self.only(reduce),
        }
    }

    fn named(&self, name: &str) -> Result<Entry, NoEntry> {
        if self.tasks.iter().any(|task| task == name) {
            return Ok(Entry::Task(name.to_owned()));
        }
        if let Some(scalar) = self.scalars.iter().find(|scalar| scalar.name == name) {
            return Ok(Entry::Scalar(scalar.clone()));
        }
        if let Some(function) = self.function(name)? {
            return Ok(Entry::Function(function.clone()));
        }
        if self.command && name == COMMAND_EXPORT {
            return Ok(Entry::Command);
        }
        // Formatted without `{:?}`, because it is escaped already.
        let shown = one_line(name);
        if let Some(export) = self.exports.iter().find(|export| wrun_abi::task_name(&export.name) == Some(name)) {
            return Err(
                format!("has a task \"{shown}\" of the wrong type: it is {}, not func () -> (i32)", export.ty).into()
            );
        }
        if let Some(problem) = self.not_callable(name) {
            return Err(problem.into());
        }
        if let Some(export) = self.exports.iter().find(|export| export.name == name) {
            return Err(format!("cannot be called by \"{shown}\", which is {}: {}", export.ty, self.offers()).into());
        }
        let hint = match self.closest(name) {
            Some(close) => format!("did you mean \"{}\"? ", one_line(close)),
            None => String::new(),
        };
        Err(format!("has no task or function \"{shown}\": {hint}{}", self.offers()).into())
    }

    fn only(&self, reduce: Option<&str>) -> Result<Entry, NoEntry> {
        let is_other = |name: &str| Some(name) != reduce;
        let tasks: Vec<&String> = self.tasks.iter().filter(|task| is_other(task)).collect();
        let scalars: Vec<&Scalar> = self.scalars.iter().filter(|scalar| is_other(&scalar.name)).collect();
        // A module has none, and a component no functions of numbers.
        let functions: Vec<&Function> = self.functions.iter().filter(|function| is_other(&function.name)).collect();
        match (&*tasks, self.command, &*scalars, &*functions) {
            ([task], ..) => Ok(Entry::Task((*task).clone())),
            // Components have a world whose task is called so.
            ([_, _, ..], ..) if self.component && tasks.iter().any(|task| *task == DEFAULT_TASK) => {
                Ok(Entry::Task(DEFAULT_TASK.to_owned()))
            }
            ([_, _, ..], ..) => Err(NoEntry::of_several(format!("has several tasks ({})", names(&tasks)))),
            ([], true, ..) => Ok(Entry::Command),
            // What other runtimes call by default as well: a `_start` that is no command, or the export without a name.
            ([], false, [_, _, ..], _) if let Some(default) = default_of(&scalars) => {
                Ok(Entry::Scalar(default.clone()))
            }
            ([], false, [scalar], _) => Ok(Entry::Scalar((*scalar).clone())),
            ([], false, [_, _, ..], _) => {
                Err(NoEntry::of_several(format!("has several functions ({})", names(&scalars))))
            }
            ([], false, [], [function]) => Ok(Entry::Function((*function).clone())),
            ([], false, [], [_, _, ..]) => {
                Err(NoEntry::of_several(format!("has several functions ({})", function_names(&functions))))
            }
            ([], false, [], []) => Err(match reduce {
                Some(name) if self.tasks.iter().any(|task| task == name) => {
                    NoEntry::of_several(format!("has no task besides \"{}\", which merges results", one_line(name)))
                }
                Some(name) => format!("has nothing to call besides \"{}\": {}", one_line(name), self.offers()).into(),
                None => self.offers().into(),
            }),
        }
    }

    /// Lists what can be called. Continues a sentence.
    fn offers(&self) -> String {
        let mut offers = Vec::new();
        if !self.tasks.is_empty() {
            offers.push(format!("tasks {}", names(&self.tasks)));
        }
        if !self.scalars.is_empty() {
            offers.push(format!("functions {}", names(&self.scalars)));
        }
        if !self.functions.is_empty() {
            let functions: Vec<&Function> = self.functions.iter().collect();
            offers.push(format!("functions {}", function_names(&functions)));
        }
        if self.command {
            let command = if self.component { "the command wasi:cli/run" } else { "the WASI command _start" };
            offers.push(command.to_owned());
        }
        match &*offers {
            [] if self.component => {
                "offers nothing to call: export a task (func() -> result<_, string>), a function of plain values, or wasi:cli/run"
                    .into()
            }
            [] => "offers nothing to call: export a task (wrun:task/NAME or wrun_task_NAME), a function of numbers, or _start".into(),
            offers => format!("it offers {}", offers.join("; ")),
        }
    }

    /// The name most similar to `name`, if one is similar enough.
    fn closest(&self, name: &str) -> Option<&str> {
        let functions = self.functions.iter().flat_map(|function| [function.name.as_str(), function.place().1]);
        let names = self.tasks.iter().chain(self.scalars.iter().map(|scalar| &scalar.name)).map(String::as_str);
        let names = names.chain(functions);
        names
            .map(|known| (strsim::jaro_winkler(known, name), known))
            .filter(|(similarity, _)| *similarity > 0.8)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, known)| known)
    }
}

fn default_of<'a>(scalars: &[&'a Scalar]) -> Option<&'a Scalar> {
    [COMMAND_EXPORT, ""].iter().find_map(|name| scalars.iter().find(|scalar| scalar.name == *name).copied())
}

/// Their names alone: signatures of components can be long.
pub(super) fn function_names(functions: &[&Function]) -> String {
    names(&functions.iter().map(|function| function.name.as_str()).collect::<Vec<_>>())
}

fn names<T: std::fmt::Display>(items: &[T]) -> String {
    let mut list = items.iter().take(MAX_NAMES).map(|item| one_line(&item.to_string())).collect::<Vec<_>>().join(", ");
    if items.len() > MAX_NAMES {
        list.push_str(&format!(" and {} more", items.len() - MAX_NAMES));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::describe::Declarations;

    /// The description of a module with these exported functions.
    fn module(functions: &[(&str, &str)]) -> Description {
        let functions: String =
            functions.iter().map(|(name, ty)| format!("(func (export {name:?}) {ty} unreachable)")).collect();
        let module = wasmtime::Module::new(&wasmtime::Engine::default(), format!("(module {functions})"));
        Declarations::of_module(&module.unwrap(), false).describe()
    }

    const TASK: &str = "(result i32)";
    const NUMBERS: &str = "(param f64 i64) (result f64)";

    fn task(name: &str) -> Result<Entry, NoEntry> {
        Ok(Entry::Task(name.into()))
    }

    fn name_of(entry: Result<Entry, NoEntry>) -> String {
        match entry.unwrap() {
            Entry::Task(name) => format!("task {name}"),
            Entry::Scalar(scalar) => format!("scalar {scalar}"),
            Entry::Command => "command".into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_is_a_task_before_it_is_a_function() {
        let module = module(&[("f", NUMBERS), ("wrun:task/f", TASK), ("g", NUMBERS), ("_start", "")]);
        assert_eq!(module.choose(Some("f"), None), task("f"));
        assert_eq!(name_of(module.choose(Some("g"), None)), "scalar g(f64, i64) -> f64");
        assert_eq!(module.choose(Some("_start"), None), Ok(Entry::Command));
    }

    #[test]
    fn without_a_name_the_only_one_of_its_kind_is_taken() {
        let only = |functions: &[(&str, &str)], reduce| name_of(module(functions).choose(None, reduce));
        assert_eq!(only(&[("wrun:task/a", TASK), ("_start", ""), ("f", NUMBERS)], None), "task a");
        assert_eq!(only(&[("wrun:task/a", TASK), ("wrun:task/b", TASK)], Some("b")), "task a");
        assert_eq!(only(&[("wrun:task/b", TASK), ("_start", "")], Some("b")), "command");
        assert_eq!(only(&[("_start", ""), ("f", NUMBERS), ("g", NUMBERS)], None), "command");
        assert_eq!(only(&[("f", NUMBERS), ("_start", "(result i32)"), ("", "")], None), "scalar _start() -> i32");
        assert_eq!(only(&[("f", NUMBERS), ("", ""), ("g", NUMBERS)], None), "scalar ()");
        assert_eq!(only(&[("f", NUMBERS)], None), "scalar f(f64, i64) -> f64");
        assert_eq!(
            only(&[("f", NUMBERS), ("__main_void", TASK), ("_initialize", "")], None),
            "scalar f(f64, i64) -> f64"
        );
    }

    #[test]
    fn what_is_ambiguous_is_listed() {
        let problem = |functions: &[(&str, &str)]| module(functions).choose(None, None).unwrap_err().problem;
        assert_eq!(
            problem(&[("wrun:task/a", TASK), ("wrun:task/b", TASK), ("_start", "")]),
            "has several tasks (a, b)"
        );
        assert_eq!(problem(&[("f", NUMBERS), ("g", "")]), "has several functions (f(f64, i64) -> f64, g())");
    }

    #[test]
    fn what_is_missing_is_explained_by_what_there_is() {
        let module = module(&[("wrun:task/count", TASK), ("root", NUMBERS), ("_start", "")]);
        assert_eq!(
            module.choose(Some("cuont"), None).unwrap_err().problem,
            "has no task or function \"cuont\": did you mean \"count\"? it offers tasks count; functions \
             root(f64, i64) -> f64; the WASI command _start"
        );
        assert!(!module.choose(Some("xyz"), None).unwrap_err().problem.contains("did you mean"));
    }

    #[test]
    fn nothing_to_call_is_said() {
        let problem = module(&[("f", "(param v128)")]).choose(None, None).unwrap_err().problem;
        assert!(problem.starts_with("offers nothing to call"), "{problem}");
        let problem = module(&[("wrun:task/b", TASK)]).choose(None, Some("b")).unwrap_err().problem;
        assert!(problem.starts_with("has no task besides \"b\""), "{problem}");
    }

    #[test]
    fn an_export_of_another_type_is_said_to_be_so() {
        let module = module(&[("wrun:task/t", "(param i32)"), ("f", "(param v128)")]);
        assert_eq!(
            module.choose(Some("t"), None).unwrap_err().problem,
            "has a task \"t\" of the wrong type: it is func (i32) -> (), not func () -> (i32)"
        );
        assert!(
            module
                .choose(Some("f"), None)
                .unwrap_err()
                .problem
                .starts_with("cannot be called by \"f\", which is func (")
        );
    }
}
