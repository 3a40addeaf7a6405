"""The times of the parts that criterion measured (`make bench`), as far as they are available."""

import glob
import json

FRESH = "no-op, fresh instance"
REUSED = "no-op, reused instance"
RUST_WASI = "Rust task with WASI, fresh instance"
WINDOWS = {size: f"window of {size}, fresh instance" for size in ("4 KiB", "1 MiB", "1 GiB")}


def medians():
    """The median of each benchmark in nanoseconds, by name."""
    times = {}
    for path in sorted(glob.glob("target/criterion/**/new/estimates.json", recursive=True)):
        with open(path) as file:
            median = json.load(file)["median"]["point_estimate"]
        with open(path.replace("estimates.json", "benchmark.json")) as file:
            times[json.load(file)["full_id"]] = median
    return times
