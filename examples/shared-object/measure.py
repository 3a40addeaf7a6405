#!/usr/bin/env python3
"""Measures the private memory of Python's worker processes that each sum a large array: measure.py [MIB] [WORKERS]."""

import multiprocessing
import sys
import time

import joblib
import numpy as np


def own_bytes():
    """The process's private memory, including its share of what it shares with the process that forked it."""
    with open("/proc/self/smaps_rollup") as rollup:
        return sum(int(line.split()[1]) << 10 for line in rollup if line.startswith("Pss_Anon:"))


def search(array, seconds=0.5):
    """Reads the whole array, for long enough that every worker gets a task."""
    end = time.monotonic() + seconds
    while array.sum() > 0 and time.monotonic() < end:
        pass
    return multiprocessing.current_process().pid, own_bytes()


def keep(array):
    global kept
    kept = array


def search_kept(_):
    return search(kept)


def show(name, results):
    own = dict(results)
    print(f"{name}: {sum(own.values()) >> 20} MiB in {len(own)} workers", flush=True)


if __name__ == "__main__":
    mib, workers = (int(word) for word in (sys.argv[1:] + ["1024", "8"][len(sys.argv) - 1 :]))
    array = np.random.default_rng(1).random((mib << 20) // 4, dtype="f4")
    tasks = 4 * workers
    show("joblib", joblib.Parallel(workers)(joblib.delayed(search)(array) for _ in range(tasks)))
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)
    with multiprocessing.get_context("spawn").Pool(workers, keep, (array,)) as pool:
        show("multiprocessing, spawned with the array", pool.map(search_kept, range(tasks), chunksize=1))
