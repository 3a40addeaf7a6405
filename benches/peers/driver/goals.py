"""The goals for speed and memory, as ratios of rows that were measured in the same run."""

from dataclasses import asdict, dataclass

import machine

# Where the time goes, for goals that have been missed; how it was found out is part of the text.
WHERE_THE_TIME_GOES = {
    "reuse": "perf record, 3 million tasks on 2 cores: half of the samples are in the 2 workers, half in the pool's one\n"
    "  thread, a fifth of all in memmove, which that thread calls; so 3 threads share 2 cores",
    "first-wasmtime": "perf stat: 4.6 ms of processor time and 791 page faults, wasmtime 2.4 ms and 371; wrun starts a\n"
    "  second process, which confines itself and sets wasmtime up",
}


@dataclass
class Verdict:
    goal: str
    limit: str
    measured: str
    met: bool
    # By how much it is missed, and why.
    remark: str = ""

    as_dict = asdict


def judge(rows, peak_mib):
    """The verdicts; a goal that compares with a row that was not measured has none."""
    cores = machine.cores()
    median = {key: row.median() for key, row in rows.items()}
    verdicts = [
        at_least("fresh", "no-op tasks/s, fresh instances, of cores x wasmtime alone on 1 thread",
                 0.7, median["fresh"] / (cores * median["bare-1"])),
        at_least("reuse", "no-op tasks/s, reused instances, of joblib loky with its own batches",
                 10, median["reuse"] / median["joblib-auto"]),
        at_most("first", "first result, of joblib loky", 0.1, median["first"] / median["first-joblib"]),
        at_most("sum", "sum of 1 GiB, time of native threads over mmap", 1.1, median["sum"] / median["sum-native"]),
        at_most("memory", "private memory of a worker on 1 GiB, MiB", 8, rows["sum"].median_memory("worker")),
        at_most("peak", "peak of the pool's process over 10 million tasks, MiB", 64, peak_mib),
        at_most("lost", "a killed worker: until its replacement has ended a task, ms", 20, median["lost"]),
        at_most("failed", "a killed worker: tasks that fail", 1,
                max(remark["failed"] for remark in rows["lost"].remarks)),
    ]
    if "first-wasmtime" in median:
        verdicts.insert(3, at_most("first-wasmtime", "first result, of `wasmtime run`",
                                   1, median["first"] / median["first-wasmtime"]))
    return verdicts


def at_least(key, goal, limit, number):
    return verdict(key, goal, f"at least {limit:g}", number, number >= limit, 1 - number / limit)


def at_most(key, goal, limit, number):
    return verdict(key, goal, f"at most {limit:g}", number, number <= limit, number / limit - 1)


def verdict(key, goal, limit, number, met, missed_by):
    remark = "" if met else f"missed by {missed_by:.0%}; " + WHERE_THE_TIME_GOES.get(key, "where the time goes is not known")
    return Verdict(goal, limit, f"{number:.3g}", met, remark)
