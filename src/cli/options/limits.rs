//! Options about what one task may use.

use wrun::job::TaskTime;
use wrun::{Limits, Task};

use super::values;
use crate::cli::errors::usage;

/// What a task may use.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Stop a task that runs longer than TIME (500ms, 2s, 1m), or than N% of the median time of the tasks that have passed (300%, once
    /// 3 have passed, and never less than 100ms) [default: no limit]
    #[arg(long, value_name = "TIME|N%", value_parser = values::task_time)]
    timeout: Option<TaskTime>,

    /// Limit a task's memory to SIZE bytes, not counting mapped inputs (except pages written with --input-mode cow)
    #[arg(long, value_name = "SIZE", default_value = "256M", value_parser = values::size_above_0)]
    memory: u64,

    /// Limit a task's result to SIZE bytes
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = values::size)]
    max_output: u64,

    /// Limit the stack of a task's calls to SIZE bytes
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = values::size_above_0)]
    stack: u64,

    /// Stop a task after about N instructions (5K, 2M, 1G), at the same one in every run; slows all tasks down [default: no limit]
    #[arg(long, value_name = "N", value_parser = values::count)]
    fuel: Option<u64>,

    /// Keep at most SIZE bytes of a task's log lines and standard error
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = values::size)]
    max_log: u64,

    /// Limit an item to SIZE bytes (at most 1G)
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = values::size)]
    max_argument: u64,

    /// Limit a module to N linear memories (at most 16)
    #[arg(long, value_name = "N", default_value_t = Limits::default().memories, value_parser = up_to(Limits::MAX_MEMORIES))]
    max_memories: u32,

    /// Limit a module to N tables (at most 16)
    #[arg(long, value_name = "N", default_value_t = Limits::default().tables, value_parser = up_to(Limits::MAX_TABLES))]
    max_tables: u32,

    /// Limit a table to N elements (at most 10 million)
    #[arg(
        long,
        value_name = "N",
        default_value_t = Limits::default().table_elements,
        value_parser = up_to(Limits::MAX_TABLE_ELEMENTS)
    )]
    max_table_elements: u32,

    /// Limit a task to N open WASI files, directories and events at a time (at most 8192)
    #[arg(long, value_name = "N", default_value_t = Limits::default().open_files, value_parser = up_to(Limits::MAX_OPEN_FILES))]
    max_open_files: u32,

    /// Limit the data that one call of WASI, or of a component, takes from a task, and the random bytes that one gives, to SIZE bytes
    #[arg(long, value_name = "SIZE", default_value = "128M", value_parser = values::size_above_0)]
    max_host_call: u64,

    /// Limit what a WASI program keeps in its scratch directory /tmp, which is in memory and its own, to SIZE bytes (0: no such directory)
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = values::size)]
    scratch: u64,
}

fn up_to(most: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=i64::from(most))
}

impl LimitArgs {
    /// The length of the longest item, in bytes.
    ///
    /// # Errors
    ///
    /// If that is longer than an argument can be.
    pub fn longest_argument(&self) -> anyhow::Result<usize> {
        let longest = usize::try_from(self.max_argument).ok().filter(|longest| *longest <= Task::MAX_ARGUMENT_BYTES);
        longest.ok_or_else(|| {
            let most = Task::MAX_ARGUMENT_BYTES;
            usage(format!("--max-argument cannot be more than {most} bytes; pass more as an input"))
        })
    }

    /// Whether code has to count fuel.
    pub fn count_fuel(&self) -> bool {
        self.fuel.is_some()
    }

    /// The limits for the library.
    pub fn limits(&self) -> Limits {
        Limits {
            timeout: self.timeout,
            memory_bytes: self.memory,
            output_bytes: self.max_output,
            stack_bytes: self.stack,
            log_bytes: self.max_log,
            fuel: self.fuel,
            argument_bytes: self.max_argument,
            memories: self.max_memories,
            tables: self.max_tables,
            table_elements: self.max_table_elements,
            open_files: self.max_open_files,
            host_call_bytes: self.max_host_call,
            scratch_bytes: self.scratch,
        }
    }
}
