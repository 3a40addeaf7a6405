//! `wrun snapshot`: runs a module's initializer, and writes the module as that has left it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use wrun::SnapshotOptions;

use crate::cli::errors::usage;
use crate::cli::file_roles::is_same_file;
use crate::cli::options::compiler::CompilationLimitArgs;
use crate::cli::options::grants::{NamedDirectory, directory, variable};
use crate::report::{Code, ProgressMode, line_to_stderr, one_line, shown_path, while_compiling};

/// Run a module's initializer once, and write a module that begins after it
///
/// The initializer sees no argument, no input, no clock and no random numbers, because it runs once for all tasks. What it prints goes to
/// standard error. `wrun map` and `wrun run` make such a snapshot by themselves of a module that exports `wizer-initialize`.
#[derive(Debug, clap::Args)]
pub struct SnapshotArgs {
    /// Run the initializer of this module: a .wasm or .wat file
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    /// Write the module to this .wasm file
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: PathBuf,

    /// Call the exported function NAME as the initializer
    #[arg(long, value_name = "NAME", default_value = "wizer-initialize", help_heading = "Initializer")]
    init: String,

    /// Let the initializer read the directory HOST, or with :rw also write it, under the path GUEST [default: HOST]; repeatable
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST][:rw]",
        value_parser = OsStringValueParser::new().try_map(directory),
        help_heading = "Initializer"
    )]
    directories: Vec<NamedDirectory>,

    /// Set an environment variable for the initializer; without VALUE, pass on the value that it has here; repeatable
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = variable, help_heading = "Initializer")]
    environment: Vec<(String, String)>,

    #[command(flatten)]
    limits: CompilationLimitArgs,
}

impl SnapshotArgs {
    /// Runs the initializer and writes the file.
    ///
    /// # Errors
    ///
    /// If the module has no snapshot, the initializer fails, or the file cannot be written.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let SnapshotArgs { module, output, init, directories, environment, limits } = self;
        if is_same_file(&output, &module) {
            return Err(usage(format!(
                "the output {} is the module itself; name another with -o",
                shown_path(&output)
            )));
        }
        let options = SnapshotOptions {
            initializer: init,
            directories: directories.iter().map(NamedDirectory::open).collect::<wrun::Result<_>>()?,
            environment,
        };
        let compiler = limits.compiler();
        let taken =
            while_compiling(&module, Code::UsedOnce, ProgressMode::Auto, || compiler.snapshot(&module, &options));
        let snapshot = taken?;
        for line in snapshot.log() {
            line_to_stderr(&format!("{}: {}", line.level, one_line(&line.text)));
        }
        snapshot.save(&output)?;
        Ok(ExitCode::SUCCESS)
    }
}
