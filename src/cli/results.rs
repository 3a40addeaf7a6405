//! Whether results are kept from one run to the next, and how many.

use std::time::Duration;

use anyhow::Context as _;
use wrun::{PoolBuilder, ResultCache};

use super::parse;

/// Options about the cache of results.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cache")]
pub struct ResultCacheArgs {
    /// Keep results, and run no task again whose result is kept: the same module, function, argument and contents of inputs
    #[arg(long)]
    cache: bool,

    /// Let kept results take this much of the disk; those not used for the longest time go first
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = parse::size)]
    cache_size: u64,

    /// Use no result that was kept longer ago than this (12h, 30d) [default: as long as there is room]
    #[arg(long, value_name = "TIME", value_parser = parse::duration)]
    cache_expires: Option<Duration>,
}

impl ResultCacheArgs {
    /// Whether results are to be kept.
    pub fn is_given(&self) -> bool {
        self.cache
    }

    /// Settings of a pool that keeps results where that is wanted.
    ///
    /// # Errors
    ///
    /// Where there is no place for them.
    pub fn apply(&self, pool: PoolBuilder) -> anyhow::Result<PoolBuilder> {
        if !self.cache {
            return Ok(pool);
        }
        let dir = ResultCache::default_dir().context(super::cache::NO_PLACE)?;
        Ok(pool.cache(ResultCache { dir, size_bytes: self.cache_size, expires: self.cache_expires }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        results: ResultCacheArgs,
    }

    #[test]
    fn the_default_shown_is_that_of_the_library() {
        let ResultCacheArgs { cache, cache_size, cache_expires } = Line::parse_from(["wrun"]).results;
        assert_eq!((cache, cache_size, cache_expires), (false, ResultCache::SIZE_BYTES, None));
    }
}
