"""The Python rows: `joblib_rows.py ROW ARG...` measures one of them once and prints a JSON object.

The clock starts when joblib and numpy are imported and the worker processes are running: joblib's best case.
"""

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time

from joblib import Parallel, delayed


def noop():
    return 0


def noop_of(_):
    return 0


def spin():
    """About a millisecond of work."""
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end:
        pass


def total(numbers):
    return float(numbers.sum())


def joblib_noops(tasks, workers, batch_size):
    parallel = Parallel(n_jobs=workers, batch_size=batch_size)
    parallel(delayed(noop)() for _ in range(100))
    start = time.perf_counter()
    results = parallel(delayed(noop)() for _ in range(tasks))
    seconds = time.perf_counter() - start
    assert len(results) == tasks
    return {"seconds": seconds}


def imap_noops(tasks, workers):
    with multiprocessing.Pool(workers) as pool:
        list(pool.imap(noop_of, range(100)))
        start = time.perf_counter()
        count = sum(1 for _ in pool.imap(noop_of, range(tasks)))
        seconds = time.perf_counter() - start
    assert count == tasks
    return {"seconds": seconds}


def joblib_sum(numbers, slices):
    import numpy

    length = len(numbers) // slices
    parallel = Parallel(n_jobs=len(os.sched_getaffinity(0)))
    parallel(delayed(total)(numpy.zeros(1)) for _ in range(8))
    start = time.perf_counter()
    sums = parallel(delayed(total)(numbers[at * length : (at + 1) * length]) for at in range(slices))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "sum": sum(sums)}


def memmap_sum(path, slices):
    import numpy

    return joblib_sum(numpy.memmap(path, dtype="<f8", mode="r"), slices)


def array_sum(path, slices):
    import numpy

    return joblib_sum(numpy.fromfile(path, dtype="<f8"), slices)


def first(workers):
    results = Parallel(n_jobs=workers, return_as="generator")(delayed(math.sqrt)(number) for number in [2, 9, 16])
    print(next(results), flush=True)
    list(results)


def lost(workers):
    """Kills a worker in the middle of a call; returns the seconds until the call fails, and the error."""
    parallel = Parallel(n_jobs=workers)
    # The workers are asked, because the executor's own list cannot be read without changing it.
    worker = parallel(delayed(os.getpid)() for _ in range(100))[0]
    killed = []

    def kill():
        killed.append(time.perf_counter())
        os.kill(worker, signal.SIGKILL)

    threading.Timer(0.3, kill).start()
    try:
        parallel(delayed(spin)() for _ in range(3000))
    except Exception as error:
        return {"seconds": time.perf_counter() - killed[0], "error": type(error).__name__}
    raise RuntimeError("the call did not fail")


def main():
    row, *arguments = sys.argv[1:]
    numbers = [int(argument) for argument in arguments if argument.isdigit()]
    rows = {
        "noop-auto": lambda: joblib_noops(*numbers, "auto"),
        "noop-single": lambda: joblib_noops(*numbers, 1),
        "noop-imap": lambda: imap_noops(*numbers),
        "sum-memmap": lambda: memmap_sum(arguments[0], *numbers),
        "sum-array": lambda: array_sum(arguments[0], *numbers),
        "first": lambda: first(*numbers),
        "lost": lambda: lost(*numbers),
    }
    measured = rows[row]()
    if measured is not None:
        print(json.dumps(measured))


if __name__ == "__main__":
    main()
