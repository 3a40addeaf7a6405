#!/usr/bin/env python3
"""Runs the public test suite of WASI preview 1 (<https://github.com/WebAssembly/wasi-testsuite>): `make wasi-suite SUITE=CLONE`.

Builds the programs of the suite: those in Rust with cargo for wasm32-wasip1, those in C with clang and wasi-libc, and those
in AssemblyScript with npm. Each runs in a fresh copy of its directory, by `wrun run --clock --random`.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

OUT = os.path.abspath("target/wasi-suite")
# The times of a symbolic link can only be set by its path (utimensat(2)), which Landlock does not restrict.
KNOWN_TO_FAIL = {"symlink_filestat"}


def main():
    parser = argparse.ArgumentParser(prog="tests/programs/wasi_suite.py", description="Runs the test suite of WASI preview 1")
    parser.add_argument("suite", help="a clone of the suite")
    parser.add_argument("--wrun", default="target/release/wrun", help="the command to test (default: target/release/wrun)")
    options = parser.parse_args()
    tests = os.path.join(os.path.abspath(options.suite), "tests")
    if not os.path.isdir(tests):
        sys.exit(f"{options.suite} is no clone of the suite: it has no directory tests")
    wrun = os.path.abspath(options.wrun)
    os.makedirs(OUT, exist_ok=True)

    programs = [*rust(f"{tests}/rust/wasm32-wasip1"), *c(f"{tests}/c/src"), *assemblyscript(f"{tests}/assemblyscript/wasm32-wasip1/src")]
    failed = [name for name, module, config, sources in programs if not passes(wrun, name, module, config, sources)]
    print(f"{len(programs)} programs, {len(failed)} failed: {', '.join(failed) or 'none'}")
    sys.exit(0 if programs and set(failed) <= KNOWN_TO_FAIL else 1)


def rust(directory):
    subprocess.run(["cargo", "build", "--quiet", "--release", "--target", "wasm32-wasip1", "--target-dir", f"{OUT}/rust"], cwd=directory, check=True)
    for source in sorted(glob.glob(f"{directory}/src/bin/*.rs")):
        yield program(source, f"{OUT}/rust/wasm32-wasip1/release/{stem(source)}.wasm")


def c(directory):
    for source in sorted(glob.glob(f"{directory}/*.c")):
        module = f"{OUT}/{stem(source)}.wasm"
        subprocess.run(["clang", "--target=wasm32-wasi", "-O1", source, "-o", module], check=True)
        yield program(source, module)


def assemblyscript(directory):
    folder = f"{OUT}/assemblyscript"
    shutil.copytree(directory, folder, dirs_exist_ok=True)
    subprocess.run(["npm", "install", "--silent", "--prefix", folder, "assemblyscript", "@assemblyscript/wasi-shim"], check=True)
    for source in sorted(glob.glob(f"{directory}/*.ts")):
        module = f"{OUT}/{stem(source)}.wasm"
        shim = ["--config", "node_modules/@assemblyscript/wasi-shim/asconfig.json"]
        subprocess.run(["node_modules/.bin/asc", os.path.basename(source), *shim, "-o", module], cwd=folder, check=True)
        yield program(source, module)


def stem(path):
    return os.path.splitext(os.path.basename(path))[0]


def program(source, module):
    config = f"{os.path.splitext(source)[0]}.json"
    if not os.path.exists(config):
        return stem(source), module, {}, os.path.dirname(source)
    with open(config) as file:
        return stem(source), module, json.load(file), os.path.dirname(source)


def passes(wrun, name, module, config, sources):
    with tempfile.TemporaryDirectory() as place:
        options = ["--clock", "--random"]
        for directory in [config["root"]] if "root" in config else config.get("dirs", []):
            shutil.copytree(f"{sources}/{directory}", f"{place}/{directory}", symlinks=True)
            options += ["--dir", f"{place}/{directory}::{'/' if 'root' in config else directory}:rw"]
        for variable, value in config.get("env", {}).items():
            options += ["--env", f"{variable}={value}"]
        command = [wrun, "run", *options, module, *config.get("args", [])]
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    expected = (config.get("exit_code", 0), config.get("stdout", ended.stdout))
    if (ended.returncode, ended.stdout) == expected:
        return True
    print(f"{name}: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}", file=sys.stderr)
    return False


main()
