"""Compares ways to write 256 MiB through a mapping of a memory file, as a guest writes a result, and then read it.

    python3 benches/windows/memory_files.py [ROUNDS]
"""

import mmap
import os
import statistics
import sys
import time

LEN, CHUNK = 256 << 20, bytes(range(256)) * 256
HUGEPAGE, POPULATE_WRITE, POPULATE, MFD_HUGETLB = 14, 23, 0x8000, 4
# Name: flag for memfd_create(2), whether to fallocate(2), flag for mmap(2), advice.
WAYS = {
    "nothing": (0, False, 0, None),
    "fallocate first": (0, True, 0, None),
    "MAP_POPULATE": (0, False, POPULATE, None),
    "MADV_POPULATE_WRITE": (0, False, 0, POPULATE_WRITE),
    "MADV_HUGEPAGE": (0, False, 0, HUGEPAGE),
    "MFD_HUGETLB": (MFD_HUGETLB, False, 0, None),
}


def take(way):
    """The seconds to make and write the file, and to read it."""
    memfd_flag, allocate, map_flag, advice = way
    file = os.memfd_create("result", memfd_flag)
    try:
        start = time.perf_counter()
        os.ftruncate(file, LEN)
        if allocate:
            os.posix_fallocate(file, 0, LEN)
        with mmap.mmap(file, LEN, mmap.MAP_SHARED | map_flag) as window:
            if advice is not None:
                window.madvise(advice)
            for at in range(0, LEN, len(CHUNK)):
                window[at : at + len(CHUNK)] = CHUNK
        written = time.perf_counter()
        for at in range(0, LEN, len(CHUNK)):
            os.pread(file, len(CHUNK), at)
        return written - start, time.perf_counter() - written
    finally:
        os.close(file)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    samples, refused = {name: [] for name in WAYS}, {}
    # The first round does not count: it gets memory that the machine has not used for a long time.
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            try:
                taken = take(way)
            except OSError as error:
                refused[name] = error.strerror
                continue
            if number > 0:
                samples[name].append(taken)
    for name, taken in samples.items():
        if name in refused:
            print(f"{name:24} refused: {refused[name]}")
            continue
        writes = [write * 1000 for write, _ in taken]
        reads = statistics.median(read * 1000 for _, read in taken)
        print(f"{name:24} write {statistics.median(writes):5.0f} ms ({min(writes):.0f} - {max(writes):.0f})  read {reads:5.0f} ms")


main()
