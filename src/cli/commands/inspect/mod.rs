//! `wrun inspect`: what a module provides and needs.

mod description;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use wrun::module::{Described, Description};
use wrun::sandbox::{Layer, MissingLayer};
use wrun::{Event, Job, Pool};

use crate::cli::options::compiler::CompilerArgs;
use crate::cli::stdout;
use crate::report::to_json;
use description::describe;

/// Show what a module provides and needs
///
/// That is its tasks, functions, imports, exports and memory, and how to run it. Nothing is compiled.
#[derive(Debug, clap::Args)]
pub struct InspectArgs {
    /// Inspect this module: a .wasm or .wat file, or a .cwasm file with --allow-precompiled
    #[arg(value_name = "MODULE", required_unless_present = "sandbox")]
    module: Option<PathBuf>,

    #[command(flatten)]
    compiler: CompilerArgs,

    /// Show instead how workers are confined on this machine, as reported by a real worker
    #[arg(long, conflicts_with_all = ["module", "json"], help_heading = "Output")]
    sandbox: bool,

    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Inspected<'a> {
    name: &'a str,
    #[serde(flatten)]
    description: &'a Description,
}

impl InspectArgs {
    /// Reads the module and prints its description.
    ///
    /// # Errors
    ///
    /// If the module cannot be read, or is not valid. A module that wrun cannot run is not an error: the output says so.
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(path) = self.module else {
            stdout::print(&confinement(&self.compiler)?)?;
            return Ok(ExitCode::SUCCESS);
        };
        let Described { name, description, .. } = self.compiler.compiler().describe(&path)?;
        let text = if self.json {
            let inspected = Inspected { name: &name, description: &description };
            to_json(&inspected)? + "\n"
        } else {
            describe(&name, &description, &path)?
        };
        stdout::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What a worker that has run a task reports about its confinement.
fn confinement(compiler: &CompilerArgs) -> anyhow::Result<String> {
    let module = compiler.compiler().load_bytes("nothing.wat", br#"(module (func (export "nothing")))"#)?;
    let missing: RefCell<Vec<MissingLayer>> = RefCell::default();
    let mut pool = Pool::builder().workers(NonZeroUsize::MIN).build()?;
    let run = pool.map(&Job::new(&module), std::iter::once(""))?;
    let mut run = run.observe(|event, _| {
        if let Event::Unconfined { missing: layers } = event {
            missing.borrow_mut().extend_from_slice(layers);
        }
    });
    for outcome in &mut run {
        outcome.result?;
    }
    run.finish()?;
    let missing = missing.into_inner();
    let mut text = "A worker process on this machine:\n".to_owned();
    for layer in Layer::ALL {
        let state = match missing.iter().find(|missing| missing.layer == layer) {
            None => "in force".to_owned(),
            Some(missing) => format!("missing: {}", missing.why),
        };
        writeln!(text, "  {:18} {state}; {}", layer.name(), layer.effect())?;
    }
    writeln!(text, "It has an empty environment and no descriptors but those of its task, and dies with its pool.")?;
    Ok(text)
}
