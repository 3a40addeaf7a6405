"""Describes the machine and the versions that were measured."""

import datetime
import os
import platform
import re
import subprocess

PYTHON = "target/bench-peers/venv/bin/python"


def describe(measured):
    """What a reader needs to know about the machine and the `measured` versions, as a dictionary."""
    with open("/proc/cpuinfo") as file:
        cpu = re.search(r"model name\s*: (.*)", file.read())
    with open("/proc/meminfo") as file:
        memory_kib = int(re.search(r"MemTotal:\s*(\d+)", file.read())[1])
    changed = first_line(["git", "status", "--porcelain", "--untracked-files=no"])
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": first_line(["git", "rev-parse", "--short", "HEAD"]) + (" with changes" if changed else ""),
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": cores(),
        "memory_gib": round(memory_kib / (1 << 20), 1),
        "kernel": platform.release(),
        "load_at_start": os.getloadavg()[0],
        "versions": measured,
    }


def versions():
    libraries = first_line([PYTHON, "-c", "import joblib, numpy; print(joblib.__version__, numpy.__version__)"]).split()
    with open("Cargo.lock") as file:
        wasmtime = re.search(r'name = "wasmtime"\nversion = "(.*)"', file.read())[1]
    return {
        "wrun": first_line(["target/release/wrun", "--version"]).removeprefix("wrun "),
        "wasmtime": wasmtime,
        "rustc": first_line(["rustc", "--version"]).split()[1],
        "python": platform.python_version(),
        "joblib": libraries[0],
        "numpy": libraries[1],
        "parallel": first_line(["parallel", "--version"]).removeprefix("GNU parallel "),
    }


def cores():
    """The number of CPUs that this process may use, which is the number of workers and threads in all rows."""
    return len(os.sched_getaffinity(0))


def first_line(command):
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return output.strip().split("\n")[0]
