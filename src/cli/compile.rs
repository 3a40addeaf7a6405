//! `wrun compile`: precompiles a module into a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::options::ModuleArgs;
use super::usage;

/// Precompile a module: the .cwasm file runs with --allow-precompiled, on this version of wrun and this kind of CPU
#[derive(Debug, clap::Args)]
pub struct CompileArgs {
    #[command(flatten)]
    module: ModuleArgs,

    /// Write the code to this file [default: MODULE with the extension .cwasm]
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Make code that counts fuel, for --fuel; it takes up to 2.5 times as long to run
    #[arg(long, help_heading = "Output")]
    count_fuel: bool,
}

impl CompileArgs {
    /// Compiles and writes.
    ///
    /// # Errors
    ///
    /// Where the module cannot be compiled or the file cannot be written.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let output = self.output.unwrap_or_else(|| self.module.path().with_extension("cwasm"));
        if same_file(&output, self.module.path()) {
            return Err(usage(format!("the output {} is the module itself; name another with -o", output.display())));
        }
        let compiler = wrun::Compiler { count_fuel: self.count_fuel, ..self.module.compiler() };
        let module = self.module.load(compiler)?;
        // What could never run is not worth a file.
        module.check_imports()?;
        module.save(&output)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}
