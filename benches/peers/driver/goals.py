"""The goals for speed and memory, as ratios of rows measured in the same run."""

from dataclasses import asdict, dataclass

import machine
import parts

# Where the time goes, for goals that were missed, and how that was found.
WHERE_THE_TIME_GOES = {
    "reuse": "perf record: half of the samples are in the workers, half in the pool's single thread; 3 threads share 2 cores",
    "first-wasmtime": "perf record of the system calls: wrun starts a second process, and a process of this program needs 1 ms\n"
    "  to reach main (exec, dynamic linking, relocation); the worker then needs 0.4 ms to make wasmtime's engine, 0.3 ms to\n"
    "  install two system call filters and 0.2 ms to start the thread with the guest's stack. The command line, the module and\n"
    "  everything else are done in the meantime. Forking a worker without exec would be faster, but share this process's memory layout",
    "sum": "3 ms are the start of the workers; the rest is page faults, which native code has, too (benches/WINDOWS.md)",
    "cold": "benches/WINDOWS.md lists what was tried, and how much the disk of a virtual machine varies",
    "window": "system calls (timed one by one): mmap of the file 3.5 us, of zeros in its place 2.5; mprotect 1.5 to grow the\n"
    "  memory, 1.6 to shrink it for the next instance, both by wasmtime; fstat 0.5. From 2 MiB on, each map takes 1 us more",
}


@dataclass
class Verdict:
    goal: str
    limit: str
    measured: str
    met: bool
    # By how much the goal was missed, and why.
    remark: str = ""

    as_dict = asdict


def judge(rows, peak_mib, times):
    """The verdicts, except for goals that compare with a row that was not measured. `times` are those of the parts."""
    cores = machine.cores()
    median = {key: row.median() for key, row in rows.items()}
    verdicts = [
        at_least("fresh", "no-op tasks/s, fresh instances, relative to cores x wasmtime alone on 1 thread",
                 0.7, median["fresh"] / (cores * median["bare-1"])),
        at_least("reuse", "no-op tasks/s, reused instances, relative to joblib loky with its own batches",
                 10, median["reuse"] / median["joblib-auto"]),
        at_least("ordered", "no-op tasks/s in item order, relative to unordered", 0.95, median["fresh"] / median["unordered"]),
        at_most("first", "first result, relative to joblib loky", 0.1, median["first"] / median["first-joblib"]),
        at_most("sum", "sum of 1 GiB, time relative to native threads over mmap", 1.1, median["sum"] / median["sum-native"]),
        at_most("cold", "sum of a cold file of 1 GiB, time relative to `cat FILE > /dev/null`", 1.1, median["cold"] / median["cold-cat"]),
        at_most("memory", "private memory of a worker on 1 GiB, MiB", 8, rows["sum"].median_memory("worker")),
        at_most("peak", "peak memory of the pool's process over 10 million tasks, MiB", 64, peak_mib),
        at_most("lost", "a killed worker: until its replacement has completed a task, ms", 20, median["lost"]),
        at_most("failed", "a killed worker: tasks that fail", 1,
                max(remark["failed"] for remark in rows["lost"].remarks)),
    ]
    if "first-wasmtime" in median:
        verdicts.insert(4, at_most("first-wasmtime", "first result of `wrun run`, relative to `wasmtime run`",
                                   1, median["first-run"] / median["first-wasmtime"]))
    if times:
        fresh = times[parts.FRESH]
        verdicts += [
            at_most("fresh-wat", "a task in a fresh instance of a small WAT module, us", 4, fresh / 1000),
            at_most("fresh-rust", "a task in a fresh instance of a Rust guest with WASI, us", 6, times[parts.RUST_WASI] / 1000),
        ]
        verdicts += [
            at_most("window", f"one more window of {size} in a fresh instance, us", 8, (times[name] - fresh) / 1000)
            for size, name in parts.WINDOWS.items()
        ]
    return verdicts


def at_least(key, goal, limit, number):
    return verdict(key, goal, f"at least {limit:g}", number, number >= limit, 1 - number / limit)


def at_most(key, goal, limit, number):
    return verdict(key, goal, f"at most {limit:g}", number, number <= limit, number / limit - 1)


def verdict(key, goal, limit, number, met, missed_by):
    remark = "" if met else f"missed by {missed_by:.0%}; " + WHERE_THE_TIME_GOES.get(key, "it is not known where the time goes")
    return Verdict(goal, limit, f"{number:.3g}", met, remark)
