"""The rows of the table: what is run, and which number is taken from it."""

import hashlib
import json
import shutil
import statistics
import struct

import machine
import process

WRUN = "target/release/wrun"
PEERS = "target/release/wrun-peers"
NOOP = "benches/peers/noop.wat"
NUMBERS = "target/bench-peers/numbers.f64"
TEXT = "target/demo/rust-docs.html"
SQRT = "examples/guests/wat/sqrt.wat"
WORDCOUNT = "examples/guests/target/wasm/wordcount.wasm"
SLICES = 8
PIECE_BYTES = 16 << 20
CORES = str(machine.cores())

RATE = ("No-op tasks", "tasks/s")
SUM = ("Sum of 1 GiB of f64 in 8 slices", "ms")
COLD = ("Cold file of 1 GiB", "ms")
WORDS = ("Word count of 128 MiB of text", "ms")
FIRST = ("First result from a cold start", "ms")
LOST = ("One worker killed in mid-run", "ms")


class Row:
    """One row. `measure` returns a number in the unit of its section, or a pair of a number and a remark."""

    def __init__(self, key, section, name, measure, memory=None):
        self.key, (self.section, self.unit), self.name = key, section, name
        self.measure, self.memory = measure, memory
        self.samples, self.memories, self.remarks = [], [], []

    def take(self):
        taken = self.measure()
        number, remark = taken if isinstance(taken, tuple) else (taken, None)
        self.samples.append(number)
        if remark is not None:
            self.remarks.append(remark)

    def take_memory(self):
        self.memories.append(process.memory(self.memory))

    def median(self):
        return statistics.median(self.samples)

    def median_memory(self, name):
        return statistics.median(memory[name] for memory in self.memories)


def all_rows():
    rows = [
        Row("fresh", RATE, "wrun, fresh instances", lambda: peers_rate("noop-fresh", 500_000)),
        Row("reuse", RATE, "wrun, instances reused", lambda: peers_rate("noop-reuse", 1_000_000)),
        Row("unordered", RATE, "wrun, fresh, unordered", lambda: peers_rate("noop-unordered", 500_000)),
        Row("bare-1", RATE, "wasmtime alone, fresh, 1 thread", lambda: peers_rate("bare", 300_000, "1")),
        Row("bare-2", RATE, f"wasmtime alone, fresh, {CORES} threads", lambda: peers_rate("bare", 500_000)),
        Row("joblib-auto", RATE, "joblib loky, automatic batches", lambda: python_rate("noop-auto", 200_000)),
        Row("joblib-1", RATE, "joblib loky, batch_size=1", lambda: python_rate("noop-single", 5_000)),
        Row("imap", RATE, "multiprocessing.Pool.imap", lambda: python_rate("noop-imap", 20_000)),
        Row("xargs", RATE, "xargs -P, true: a process per task", lambda: xargs_rate(["true"], 1000)),
        Row("sum", SUM, "wrun, whole command", lambda: sum_ms(wrun_sum(), sum_of_raw), memory=wrun_sum()),
        Row("sum-native", SUM, "threads over mmap, whole command", lambda: sum_ms(native_sum(), sum_of_json), memory=native_sum()),
        Row("sum-memmap", SUM, "joblib, numpy.memmap, the call alone", lambda: python_sum("sum-memmap"),
            memory=python("sum-memmap", NUMBERS, SLICES)),
        Row("sum-array", SUM, "joblib, array in memory, the call alone", lambda: python_sum("sum-array"),
            memory=python("sum-array", NUMBERS, SLICES)),
        Row("cold-cat", COLD, "cat FILE > /dev/null", lambda: cold_ms(["sh", "-c", f"cat {NUMBERS} > /dev/null"])),
        Row("cold", COLD, "wrun, sum in 8 slices", lambda: cold_ms(wrun_sum())),
        Row("cold-pieces", COLD, "wrun, sum of pieces of 16 MiB", lambda: cold_ms(wrun_sum(["--split", str(PIECE_BYTES)]))),
        Row("words", WORDS, "wrun, split and reduced by the guest", lambda: words_ms(
            [WRUN, "map", WORDCOUNT, "--jobs", CORES, "--split", str(PIECE_BYTES), TEXT, "--reduce", "merge"])),
        Row("words-native", WORDS, "threads over mmap, same algorithm", lambda: words_ms(
            [PEERS, "words", TEXT, str(PIECE_BYTES), CORES])),
        Row("words-parallel", WORDS, "GNU parallel --pipe-part, same program", lambda: words_ms(
            ["sh", "-c", f"parallel --will-cite --pipe-part -a {TEXT} --block {PIECE_BYTES} -j{CORES} "
             f"{PEERS} words-of-stdin | {PEERS} merge-stdin"])),
        Row("first", FIRST, "wrun map", lambda: first_ms([WRUN, "map", SQRT, "2"])),
        Row("first-run", FIRST, "wrun run", lambda: first_ms([WRUN, "run", SQRT, "2"])),
        Row("first-joblib", FIRST, "joblib loky", lambda: first_ms(python("first", CORES), starts=2)),
        Row("python", FIRST, "Python that prints a line (lower bound)", lambda: first_ms([machine.PYTHON, "-c", "print()"])),
        Row("lost", LOST, "wrun: until its replacement completes a task", lost_ms),
        Row("slow-down", LOST, "wrun: how much longer the run takes", slow_down_ms),
        Row("lost-joblib", LOST, "joblib loky: until the whole call fails", joblib_lost_ms),
    ]
    if shutil.which("wasmtime"):
        after = lambda key: next(at for at, row in enumerate(rows) if row.key == key) + 1
        rows.insert(after("xargs"), Row("xargs-wasmtime", RATE, "xargs -P, wasmtime run, cached",
                                        lambda: xargs_rate(["wasmtime", "run", "-C", "cache=y", NOOP], 200)))
        rows.insert(after("first-run"), Row("first-wasmtime", FIRST, "wasmtime run, cached", lambda: first_ms(
            ["wasmtime", "run", "-C", "cache=y", "--invoke", "sqrt", SQRT, "2"])))
    return rows


def peers_rate(row, tasks, threads=CORES):
    return json.loads(process.output([PEERS, row, str(tasks), threads]))["per_second"]


def peak_of_ten_million_mib():
    """The peak resident memory of a pool's process over ten million tasks, in MiB."""
    return json.loads(process.output([PEERS, "noop-fresh", "10000000", CORES]))["peak_kib"] / 1024


def python(row, *arguments):
    return [machine.PYTHON, "benches/peers/driver/joblib_rows.py", row, *map(str, arguments)]


def python_rate(row, tasks):
    seconds = json.loads(process.output(python(row, tasks, CORES)))["seconds"]
    return tasks / seconds


def xargs_rate(command, tasks):
    text = f"seq {tasks} | xargs -P {CORES} -n 1 {' '.join(command)}"
    seconds, _ = process.timed(["sh", "-c", text])
    return tasks / seconds


def wrun_sum(split=("--split-into", str(SLICES))):
    return [WRUN, "map", "benches/peers/sum.wat", "--jobs", CORES, *split, "--split-at", "record:64", NUMBERS, "--raw"]


def native_sum():
    return [PEERS, "sum", NUMBERS, str(SLICES), CORES]


def sum_of_raw(printed):
    return sum(struct.unpack(f"<{SLICES}d", printed))


def sum_of_json(printed):
    return json.loads(printed)["sum"]


def sum_ms(command, sum_of):
    process.read(NUMBERS)
    seconds, printed = process.timed(command)
    same("sum", sum_of(printed))
    return seconds * 1000


def cold_ms(command):
    process.evict(NUMBERS)
    before = process.read_from_disks_mib()
    seconds, _ = process.timed(command)
    return seconds * 1000, {"read_mib": process.read_from_disks_mib() - before}


def python_sum(row):
    process.read(NUMBERS)
    measured = json.loads(process.output(python(row, NUMBERS, SLICES)))
    same("sum", measured["sum"])
    return measured["seconds"] * 1000


def words_ms(command):
    process.read(TEXT)
    seconds, table = process.timed(command)
    same("table of words", hashlib.sha256(table).hexdigest())
    return seconds * 1000


RESULTS = {}


def same(what, result):
    """Checks that all rows that compute the same thing have the same result."""
    if RESULTS.setdefault(what, result) != result:
        raise RuntimeError(f"the {what} is {result}, but another row's is {RESULTS[what]}")


def first_ms(command, starts=9):
    return statistics.median(process.until_first_byte(command) for _ in range(starts)) * 1000


LOST_TASKS = "1500"


def lost_ms():
    measured = json.loads(process.output([PEERS, "lost", LOST_TASKS, CORES]))
    return measured["replaced_after"] * 1000, {"tasks": int(LOST_TASKS), "failed": measured["failed"]}


def slow_down_ms():
    with_kill = json.loads(process.output([PEERS, "lost", LOST_TASKS, CORES]))["seconds"]
    without = json.loads(process.output([PEERS, "not-lost", LOST_TASKS, CORES]))["seconds"]
    return (with_kill - without) * 1000


def joblib_lost_ms():
    measured = json.loads(process.output(python("lost", CORES)))
    return measured["seconds"] * 1000, {"error": measured["error"]}
