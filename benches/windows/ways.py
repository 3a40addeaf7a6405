"""Compares ways to map a file, without wrun: two processes map pieces of it in turn and access every page.

    python3 benches/windows/ways.py FILE [cold|warm] [ROUNDS]

A cold file is dropped from the page cache before each run, without privileges. `cat` runs before each run, so that memory
that a virtual machine's host has yet to provide affects all ways alike. All ways take turns.
"""

import mmap
import os
import statistics
import subprocess
import sys
import time

PIECE, PROCESSES, PAGE = 16 << 20, 2, 4096
# madvise(2); Python lacks names for the last ones.
SEQUENTIAL, WILLNEED, HUGEPAGE, POPULATE_READ = 2, 3, 14, 22
POPULATE = 0x8000
# Name: advice, flag for mmap(2), whether each process opens the file itself, and whether all pages are accessed.
WAYS = {
    "nothing": (None, 0, False, True),
    "own open file": (None, 0, True, True),
    "MADV_SEQUENTIAL": (SEQUENTIAL, 0, False, True),
    "MADV_SEQUENTIAL, own open file": (SEQUENTIAL, 0, True, True),
    "MADV_WILLNEED": (WILLNEED, 0, False, True),
    "MADV_POPULATE_READ": (POPULATE_READ, 0, False, True),
    "MAP_POPULATE": (None, POPULATE, False, True),
    "MADV_HUGEPAGE": (HUGEPAGE, 0, False, True),
    "MADV_HUGEPAGE, own open file": (HUGEPAGE, 0, True, True),
    "one page of each piece: nothing": (None, 0, False, False),
    "one page of each piece: MADV_HUGEPAGE": (HUGEPAGE, 0, False, False),
    "one page of each piece: MADV_POPULATE_READ": (POPULATE_READ, 0, False, False),
}


def work(path, opened, first, way):
    advice, flag, own, all_pages = way
    file = os.open(path, os.O_RDONLY) if own else opened
    for start in range(first * PIECE, os.fstat(file).st_size // PIECE * PIECE, PROCESSES * PIECE):
        window = mmap.mmap(file, PIECE, mmap.MAP_SHARED | flag, mmap.PROT_READ, offset=start)
        if advice is not None:
            window.madvise(advice)
        window[::PAGE] if all_pages else window[PIECE // 2]
        window.close()


def run(path, way):
    """The seconds, and the MiB read from disks."""
    opened, before = os.open(path, os.O_RDONLY), read_mib()
    start = time.perf_counter()
    children = []
    for first in range(PROCESSES):
        child = os.fork()
        if child == 0:
            work(path, opened, first, way)
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise RuntimeError("a process failed")
    seconds = time.perf_counter() - start
    os.close(opened)
    return seconds, read_mib() - before


def cat(path):
    before, start = read_mib(), time.perf_counter()
    subprocess.run(f"cat '{path}' > /dev/null", shell=True, check=True)
    return time.perf_counter() - start, read_mib() - before


def evict(path):
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    left = subprocess.run(["fincore", "-nb", "-o", "RES", path], stdout=subprocess.PIPE, check=True).stdout
    if int(left) > 0:
        raise RuntimeError(f"{left} bytes are still in the page cache")


def read_mib():
    """What the machine has read from disks since boot, in MiB."""
    with open("/proc/vmstat") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("pgpgin ")) / 1024


def main():
    path, cold = sys.argv[1], sys.argv[2:3] != ["warm"]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    takes = {"cat": cat} | {name: lambda path, way=way: run(path, way) for name, way in WAYS.items()}
    samples = {name: [] for name in takes}
    for _ in range(rounds):
        for name, take in takes.items():
            cat(path)
            if cold:
                evict(path)
                cat(path)
                evict(path)
            samples[name].append(take(path))
    base = statistics.median(seconds for seconds, _ in samples["cat"])
    for name, taken in samples.items():
        seconds = [each for each, _ in taken]
        median, mib = statistics.median(seconds), statistics.median(mib for _, mib in taken)
        print(f"{name:44} {median * 1000:7.0f} ms  {min(seconds) * 1000:6.0f} - {max(seconds) * 1000:6.0f}"
              f"  {base / median:6.2f} x cat  {mib:6.0f} MiB read")


main()
