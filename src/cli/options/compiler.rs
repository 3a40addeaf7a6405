//! Options of the compiler, and loading a module with them.

use std::path::Path;
use std::time::Duration;

use wrun::job::UnknownImports;
use wrun::{Compiler, Module, Sandbox};

use super::limits::LimitArgs;
use super::values;
use crate::report::{Code, ProgressMode, line_to_stderr, while_compiling};

/// What one compilation may use, and which code is accepted and made.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compiler")]
pub struct CompilerArgs {
    /// Accept precompiled code (.cwasm), which can do anything wrun can: use it only for files you trust
    #[arg(long)]
    allow_precompiled: bool,

    #[command(flatten)]
    limits: CompilationLimitArgs,

    /// Call the module's initializer in each instance, instead of once for a snapshot with which all instances begin
    #[arg(long, help_heading = "Compiler")]
    no_snapshot: bool,
}

/// What one compilation may use.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Compiler")]
pub struct CompilationLimitArgs {
    /// Give up on a module that takes longer than TIME to compile (500ms, 2s, 1m)
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = values::duration)]
    compile_timeout: Duration,

    /// Give up on a module that needs more than SIZE bytes of memory to compile
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = values::size_above_0)]
    compile_memory: u64,
}

impl CompilationLimitArgs {
    /// The settings for the library.
    pub fn compiler(&self) -> Compiler {
        Compiler { timeout: self.compile_timeout, memory_bytes: self.compile_memory, ..Compiler::default() }
    }
}

impl CompilerArgs {
    /// The settings for the library.
    pub fn compiler(&self) -> Compiler {
        Compiler { allow_precompiled: self.allow_precompiled, snapshot: !self.no_snapshot, ..self.limits.compiler() }
    }

    /// Loads a module whose tasks will run with these limits and this confinement.
    ///
    /// # Errors
    ///
    /// As [`load_module`], and if the module imports something that wrun does not provide.
    pub fn load_to_run(
        &self,
        path: &Path,
        limits: &LimitArgs,
        sandbox: Sandbox,
        progress: ProgressMode,
        unknown_imports: UnknownImports,
    ) -> wrun::Result<Module> {
        let compiler = Compiler { count_fuel: limits.count_fuel(), sandbox, ..self.compiler() };
        let module = load_module(path, compiler, progress)?;
        match unknown_imports {
            UnknownImports::Refuse => module.check_imports()?,
            UnknownImports::Trap => module.check_known_imports()?,
        }
        Ok(module)
    }
}

/// Loads a module from the cache, or compiles it. If that takes a while, standard error says so.
///
/// # Errors
///
/// If the module cannot be read or compiled.
pub fn load_module(path: &Path, compiler: Compiler, progress: ProgressMode) -> wrun::Result<Module> {
    let code = if compiler.cache_dir.is_some() { Code::Kept } else { Code::UsedOnce };
    let module = while_compiling(path, code, progress, || compiler.load(path))?;
    if module.replaces_damaged() {
        let name = module.name();
        let done = "it was removed, and the module compiled again";
        line_to_stderr(&format!("wrun: warning: the cached code of {name} was damaged: {done}"));
    }
    if let Some(problem) = module.cache_problem() {
        line_to_stderr(&format!("wrun: warning: compiled code is not cached: {problem}"));
    }
    Ok(module)
}
