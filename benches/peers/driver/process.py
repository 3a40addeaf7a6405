"""Runs a command and measures how long it takes, or how much memory it and its descendants use."""

import os
import re
import subprocess
import time

PAUSE_SECONDS = 0.004
# Longer than any row takes, so that a row that hangs ends the run.
PATIENCE_SECONDS = 120


def output(command):
    """What the command prints; it must succeed."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True, timeout=PATIENCE_SECONDS).stdout


def timed(command):
    """The seconds from the command's start to its end, and what it printed."""
    start = time.perf_counter()
    printed = output(command)
    return time.perf_counter() - start, printed


def milliseconds(command):
    """The milliseconds from the command's start to its end."""
    return timed(command)[0] * 1000


def milliseconds_of_each(tasks, command):
    """The milliseconds that a task adds: those of many tasks without those of one, divided by their number."""
    return (milliseconds(command(tasks + 1)) - milliseconds(command(1))) / tasks


def read(path):
    """Reads a file into the page cache: an idle system may have dropped it, and the next reader would pay for that."""
    buffer = bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def evict(path):
    """Drops a file from the page cache; this needs no privileges, because none of its pages is dirty.

    The file is read first: memory that is reused at once costs the same in all rows, even if a virtual machine's host takes
    back what has been free for long.
    """
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        read(path)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_from_disks_mib():
    """What the machine has read from disks since boot, in MiB (proc(5), `pgpgin` in KiB)."""
    with open("/proc/vmstat") as file:
        return int(re.search(r"^pgpgin (\d+)", file.read(), re.MULTILINE)[1]) / 1024


def until_first_byte(command):
    """The seconds from the command's start to the first byte that it prints; then waits for its end."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
        first = process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    if process.returncode != 0 or not first:
        raise RuntimeError(f"{command} failed or printed nothing")
    return seconds


def memory(command):
    """The highest sample of the memory of the command's process tree, in MiB.

    `total` is the anonymous memory and mapped files of all processes, with shared pages counted once (proc(5), `Pss`), plus
    the growth of the whole machine's shared memory (`Shmem`: /dev/shm and memory files, mapped or not). `own` leaves out
    files. `worker` is the highest private memory of a single child process (`Private_Dirty`).
    """
    shared_before = shared_kib()
    most = {"total": 0, "own": 0, "worker": 0}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            now = sample(process.pid, shared_kib() - shared_before)
            most = {name: max(most[name], now[name]) for name in most}
            time.sleep(PAUSE_SECONDS)
    if process.returncode != 0:
        raise RuntimeError(f"{command} failed")
    return {name: kib / 1024 for name, kib in most.items()}


def sample(root, shared):
    anonymous = files = worker = 0
    for pid in tree(root):
        numbers = rollup(pid)
        anonymous += numbers.get("Pss_Anon", 0)
        files += numbers.get("Pss_File", 0)
        if pid != root:
            worker = max(worker, numbers.get("Private_Dirty", 0))
    own = anonymous + max(shared, 0)
    return {"total": own + files, "own": own, "worker": worker}


def tree(root):
    """The process and all its descendants."""
    found = [root]
    for pid in found:
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as file:
                    found.extend(int(child) for child in file.read().split())
        except OSError:
            # It has ended in the meantime.
            continue
    return found


def rollup(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return {name: int(kib) for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", file.read(), re.MULTILINE)}
    except OSError:
        return {}


def shared_kib():
    with open("/proc/meminfo") as file:
        return int(re.search(r"Shmem:\s*(\d+)", file.read())[1])
