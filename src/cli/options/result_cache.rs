//! Options about the cache of results.

use std::time::Duration;

use anyhow::Context as _;
use wrun::PoolBuilder;
use wrun::cache::ResultCache;

use super::values;

/// The error if no directory can be found for a cache.
pub const NO_DIRECTORY: &str = "there is no cache directory: set WRUN_CACHE_DIR, XDG_CACHE_HOME or HOME";

/// Whether results are kept from one run to the next, and how many.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cache")]
pub struct ResultCacheArgs {
    /// Cache results, and skip tasks whose result is cached (same module, function, argument and contents of inputs)
    #[arg(long)]
    pub cache: bool,

    /// Limit cached results to SIZE bytes of disk; the least recently used are removed first
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = values::size)]
    pub cache_size: u64,

    /// Ignore results cached longer ago than TIME (12h, 30d) [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub cache_expires: Option<Duration>,
}

impl ResultCacheArgs {
    /// Makes the pool cache results if `--cache` is given.
    ///
    /// # Errors
    ///
    /// If there is no directory for them.
    pub fn apply(&self, pool: PoolBuilder) -> anyhow::Result<PoolBuilder> {
        if !self.cache {
            return Ok(pool);
        }
        let dir = ResultCache::default_dir().context(NO_DIRECTORY)?;
        Ok(pool.cache(ResultCache { dir, size_bytes: self.cache_size, expires: self.cache_expires }))
    }
}
