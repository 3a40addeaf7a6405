//! `wrun compile`: precompiles a module into a file.

use std::path::PathBuf;
use std::process::ExitCode;

use wrun::Compiler;

use crate::cli::errors::usage;
use crate::cli::file_roles::is_same_file;
use crate::cli::options::compiler::{CompilerArgs, load_module};
use crate::report::{ProgressMode, shown_path};

/// Precompile a module to a .cwasm file
///
/// The file runs with --allow-precompiled, on this version of wrun and this kind of CPU.
#[derive(Debug, clap::Args)]
pub struct CompileArgs {
    /// Compile this module: a .wasm or .wat file
    #[arg(value_name = "MODULE")]
    module: PathBuf,

    #[command(flatten)]
    compiler: CompilerArgs,

    /// Write the code to this file [default: MODULE with the extension .cwasm]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Generate code that counts fuel, for --fuel; it takes up to 2.5 times as long to run
    #[arg(long, help_heading = "Output")]
    count_fuel: bool,
}

impl CompileArgs {
    /// Compiles the module and writes the file.
    ///
    /// # Errors
    ///
    /// If the module cannot be compiled, or the file cannot be written.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let output = self.output.unwrap_or_else(|| self.module.with_extension("cwasm"));
        if is_same_file(&output, &self.module) {
            return Err(usage(format!(
                "the output {} is the module itself; name another with -o",
                shown_path(&output)
            )));
        }
        let compiler = Compiler { count_fuel: self.count_fuel, ..self.compiler.compiler() };
        let module = load_module(&self.module, compiler, ProgressMode::Auto)?;
        // A module that cannot run is not worth a file. One whose unknown imports trap can.
        module.check_known_imports()?;
        module.save(&output)?;
        Ok(ExitCode::SUCCESS)
    }
}
