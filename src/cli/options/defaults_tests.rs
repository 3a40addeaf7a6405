//! The defaults that the help shows are those of the library.

use clap::Parser;
use wrun::cache::ResultCache;
use wrun::{Compiler, Halt, Limits, Retries};

use super::compiler::CompilerArgs;
use super::failure::FailureArgs;
use super::limits::LimitArgs;
use super::result_cache::ResultCacheArgs;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    compiler: CompilerArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    failure: FailureArgs,
    #[command(flatten)]
    results: ResultCacheArgs,
}

#[test]
fn the_defaults_shown_are_those_of_the_library() {
    let line = Line::parse_from(["wrun"]);
    assert_eq!(format!("{:?}", line.compiler.compiler()), format!("{:?}", Compiler::default()));
    assert_eq!(format!("{:?}", line.limits.limits()), format!("{:?}", Limits::default()));
    assert_eq!(line.failure.halt, Halt::default());
    assert_eq!(line.failure.retry_policy(), Retries::default());
    let ResultCacheArgs { cache, cache_size, cache_expires } = line.results;
    assert_eq!((cache, cache_size, cache_expires), (false, ResultCache::SIZE_BYTES, None));
}
