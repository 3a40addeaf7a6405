//! Options about the task function and its shared inputs.

use std::collections::HashSet;

use anyhow::Context as _;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::job::UnknownImports;
use wrun::{Input, Job};

use super::values::{self, NamedInput};
use crate::cli::errors::usage;
use crate::cli::file_roles::FileRoles;

/// Which function to call, and which inputs all tasks share.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Task")]
pub struct TaskArgs {
    /// Call this task or exported function [default: the only one there is]
    #[arg(long, value_name = "NAME")]
    pub call: Option<String>,

    /// Map a file, or LEN bytes of it from OFFSET, into every task under a name; repeatable
    #[arg(
        short,
        long = "input",
        value_name = "NAME=PATH[@OFFSET+LEN]",
        value_parser = OsStringValueParser::new().try_map(values::named_input)
    )]
    inputs: Vec<NamedInput>,

    /// Let a WASI program pass with these exit codes, from 0 to 125 (10,20) [default: 0]
    #[arg(long, value_name = "N[,N]...", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(0..=125))]
    ok_exit_codes: Option<Vec<u8>>,

    /// Refuse a module that imports functions that wrun does not have, or let a task trap that calls one
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = UnknownImportsChoice::Refuse)]
    unknown_imports: UnknownImportsChoice,
}

/// The values of `--unknown-imports`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum UnknownImportsChoice {
    /// Refuse the module
    Refuse,
    /// Let the task trap
    Trap,
}

impl TaskArgs {
    /// What happens to unknown imports.
    pub fn unknown_imports(&self) -> UnknownImports {
        match self.unknown_imports {
            UnknownImportsChoice::Refuse => UnknownImports::Refuse,
            UnknownImportsChoice::Trap => UnknownImports::Trap,
        }
    }

    /// Passes exit codes and unknown imports to the job.
    pub fn apply(&self, job: &mut Job) {
        job.unknown_imports = self.unknown_imports();
        if let Some(codes) = &self.ok_exit_codes {
            job.ok_exit_codes.clone_from(codes);
        }
    }

    /// Whether exit codes are given.
    pub fn has_exit_codes(&self) -> bool {
        self.ok_exit_codes.is_some()
    }

    /// Checks that the inputs are not written as well.
    ///
    /// # Errors
    ///
    /// If one is.
    pub fn check_roles(&self, roles: &FileRoles) -> anyhow::Result<()> {
        self.inputs.iter().try_for_each(|input| roles.read(&format!("--input {}", input.name), input.path()))
    }

    /// Opens the inputs that all tasks share.
    ///
    /// # Errors
    ///
    /// If two inputs have the same name, or one cannot be opened.
    pub fn open_inputs(&self) -> anyhow::Result<Vec<(String, Input)>> {
        let mut names = HashSet::new();
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            if !names.insert(&input.name) {
                return Err(usage(format!("two inputs are named {:?}; give each its own name", input.name)));
            }
            let opened = input.open().with_context(|| format!("--input {}", input.name))?;
            inputs.push((input.name.clone(), opened));
        }
        Ok(inputs)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        task: TaskArgs,
    }

    #[test]
    fn two_inputs_of_one_name_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        let line = Line::parse_from(["wrun".to_owned(), format!("-ia={path}"), format!("-ia={path}@0+0")]);
        let error = line.task.open_inputs().unwrap_err();
        assert_eq!(error.to_string(), r#"two inputs are named "a"; give each its own name"#);
    }
}
