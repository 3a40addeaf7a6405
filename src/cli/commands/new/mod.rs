//! `wrun new`: makes a project for a task.

mod language;
mod name;
mod project;
mod toolchain;

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum as _;

use crate::cli::stdout;
use crate::report::{line_to_stderr, shell_quote, shown_path};
use language::Language;

/// Make a project for a task in the language of your choice
///
/// The project counts words, builds, and runs with the two commands that are printed. For example: wrun new words --lang rust
#[derive(Debug, clap::Args)]
pub struct NewArgs {
    /// Make this directory; its last part is the project's name
    #[arg(value_name = "NAME", required_unless_present = "list")]
    path: Option<PathBuf>,

    /// Write the tasks in this language
    #[arg(short, long, value_name = "LANG", required_unless_present = "list", help_heading = "Project")]
    lang: Option<Language>,

    /// Name this folder guest-sdk of a clone of wrun in a project in Rust; others get a copy of the SDK [default: that of the clone in which this command was built]
    #[arg(long, value_name = "PATH", help_heading = "Project")]
    sdk: Option<PathBuf>,

    /// List the languages, with what has to be installed for each
    #[arg(long, help_heading = "Project")]
    list: bool,
}

impl NewArgs {
    /// Makes the project and prints how to build and run it.
    ///
    /// # Errors
    ///
    /// If the name is none for a package, or the directory exists or cannot be written.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let (Some(path), Some(language), false) = (self.path, self.lang, self.list) else {
            stdout::print(list())?;
            return Ok(ExitCode::SUCCESS);
        };
        let name = name::of(&path, language)?;
        let sdk = match language {
            Language::Rust => Some(project::rust_sdk(self.sdk.as_deref())?),
            // They get a copy.
            _ => None,
        };
        let tools = toolchain::find(language);
        let commands = language.commands(name, &tools);
        project::write(&path, &language.files(name, &commands, sdk.as_deref()))?;
        stdout::print(report(&path, language, &commands))?;
        if let Some(missing) = &tools.missing {
            line_to_stderr(&format!("wrun: note: {missing}; install {}", language.requires()));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The commands that build and run a project, in its directory.
struct Commands {
    build: String,
    run: String,
}

fn report(path: &Path, language: Language, commands: &Commands) -> String {
    // A path that no shell can be given cannot be that of a directory.
    let directory = shell_quote(path.as_os_str().as_bytes()).unwrap_or_default();
    format!(
        "made {}, tasks in {}; build and run them:\n\n  cd {directory} && {}\n  {}\n",
        shown_path(path),
        language.title(),
        commands.build,
        commands.run
    )
}

fn list() -> String {
    let mut list = String::new();
    for language in Language::value_variants() {
        let value = language.to_possible_value().expect("no language is hidden");
        // Writing to a string does not fail.
        let _ = writeln!(list, "{:15} {:15} {}", value.get_name(), language.title(), language.requires());
    }
    list
}
