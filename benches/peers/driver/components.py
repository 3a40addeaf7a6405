"""Measures tasks of components in Python and JavaScript, in wrun and in others: `make bench-components`.

The components are built here, by PyPI's `componentize-py` and npm's `@bytecodealliance/componentize-js`; both evaluate their
item. Beside them: the same component in wasmtime alone, in wasmtime's Python package, and CPython as a program of WASI
preview 1. Each round measures every row once.
"""

import argparse
import json
import os
import subprocess
import sys

import machine
import process
import report
from rows import PEERS, WRUN, Row

sys.path.insert(0, "tests/programs")
import packages

ROUNDS = 5
DIRECTORY = os.path.abspath("target/bench-components")
PYTHON = f"{DIRECTORY}/venv/bin/python"
VERSIONS = {"componentize-py": "0.25.1", "wasmtime": "48.0.0", "@bytecodealliance/componentize-js": "0.23.0"}
# Tasks of one `wrun map`, which has one worker; and of interpreters that start from nothing.
TASKS, SLOW_TASKS = 1000, 20

TYPED_WORLD = """\
package task:evaluate;
world typed { export run: func(item: string) -> string; }
"""
TYPED_PYTHON = """\
class WitWorld:
    def run(self, item: str) -> str:
        scope = {}
        exec(item, scope)
        return str(scope["result"])
"""
COMMAND_WORLD = """\
package task:evaluate;
world command { include wasi:cli/imports@0.2.12; export wasi:cli/run@0.2.12; }
"""
COMMAND_PYTHON = """\
import sys
from wit_world.exports import Run

class Run(Run):
    def run(self) -> None:
        scope = {}
        exec(sys.argv[1], scope)
        print(scope["result"])
"""
COMMAND_JAVASCRIPT = """\
import { getArguments } from "wasi:cli/environment@0.2.12";
export const run = { run() { console.log(String(eval(getArguments()[1]))); } };
"""
PEER = """\
import sys, time
from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker
engine = Engine(Config())
component = Component.from_file(engine, sys.argv[1])
linker = Linker(engine)
linker.add_wasip2()
def call(item):
    store = Store(engine)
    store.set_wasi(WasiConfig())
    instance = linker.instantiate(store, component)
    instance.get_func(store, "run")(store, f"result = sum(range(1000)) + {item}")
call(0)
start = time.perf_counter()
for item in range(int(sys.argv[2])):
    call(item)
print((time.perf_counter() - start) * 1000 / int(sys.argv[2]))
"""


def write(path, text):
    path = os.path.join(DIRECTORY, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    return path


def run(*command, **options):
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{ended.stdout}")


def install():
    if not os.path.exists(PYTHON):
        run(sys.executable, "-m", "venv", f"{DIRECTORY}/venv")
    pip = [f"{name}=={VERSIONS[name]}" for name in ("componentize-py", "wasmtime")]
    run(PYTHON, "-m", "pip", "install", "--quiet", *pip)
    name = "@bytecodealliance/componentize-js"
    if not os.path.exists(f"{DIRECTORY}/npm/node_modules/{name}"):
        run("npm", "install", "--silent", "--prefix", f"{DIRECTORY}/npm", f"{name}@{VERSIONS[name]}", "@bytecodealliance/preview2-shim@^0.17.4")


def wasi_wit():
    """The interfaces of WASI 0.2, from the source of the crate that wrun gets them from."""
    metadata = json.loads(process.output(["cargo", "metadata", "--format-version", "1", "--locked"]))
    crate = next(package for package in metadata["packages"] if package["name"] == "wasmtime-wasi")
    return os.path.join(os.path.dirname(crate["manifest_path"]), "src/p2/wit/deps")


def build():
    """Builds the components and returns their paths."""
    os.makedirs(DIRECTORY, exist_ok=True)
    install()
    write("typed/wit/world.wit", TYPED_WORLD)
    write("typed/app.py", TYPED_PYTHON)
    componentize = f"{DIRECTORY}/venv/bin/componentize-py"
    built = {name: f"{DIRECTORY}/{name}.wasm" for name in ("typed", "command", "javascript")}
    run(componentize, "-d", "wit", "-w", "typed", "componentize", "app", "-o", built["typed"], cwd=f"{DIRECTORY}/typed")
    write("command/wit/world.wit", COMMAND_WORLD)
    write("command/app.py", COMMAND_PYTHON)
    write("command/app.js", COMMAND_JAVASCRIPT)
    run("cp", "-RL", "--no-preserve=mode", wasi_wit(), f"{DIRECTORY}/command/wit/")
    run(componentize, "-d", "wit", "-w", "command", "componentize", "app", "-o", built["command"], cwd=f"{DIRECTORY}/command")
    javascript = ["app.js", "--wit", "wit", "--world-name", "command", "--disable", "http", "fetch-event", "-o", built["javascript"]]
    run(f"{DIRECTORY}/npm/node_modules/.bin/componentize-js", *javascript, cwd=f"{DIRECTORY}/command")
    return built


def map_ms(module, item, tasks, *options, call=None):
    """The milliseconds of a task, of which `item` makes the item. `options` are words of a program."""
    words = [*(["--call", call] if call else []), *(["--", *options] if options else [])]

    def command(number):
        items = write("items", "".join(item.format(k) + "\n" for k in range(number)))
        return [WRUN, "map", "--jobs", "1", module, "--items", items, *words]

    return process.milliseconds_of_each(tasks, command)


def peers_ms(component):
    return json.loads(process.output([PEERS, "component", component, str(TASKS)]))["milliseconds"]


def all_rows(built):
    python = ("Python: a fresh interpreter evaluates `result = sum(range(1000)) + N`", "ms")
    javascript = ("JavaScript: a fresh interpreter evaluates `1 + N`", "ms")
    peer = write("peer.py", PEER)
    code = "result = sum(range(1000)) + {}"
    rows = [
        Row("function", python, "wrun map, a function of componentize-py", lambda: map_ms(built["typed"], f'"{code}"', TASKS, call="run")),
        Row("command", python, "wrun map, a command of componentize-py", lambda: map_ms(built["command"], code, TASKS)),
        Row("bare", python, "wasmtime alone, a function of componentize-py", lambda: peers_ms(built["typed"])),
        Row(
            "package", python, "wasmtime's Python package, that function",
            lambda: float(process.output([PYTHON, peer, built["typed"], str(SLOW_TASKS)])),
        ),
        Row("javascript", javascript, "wrun map, a command of componentize-js", lambda: map_ms(built["javascript"], "1 + {}", TASKS)),
    ]
    cache, programs = "target/programs", f"{DIRECTORY}/programs"
    try:
        packages.lay_out("CPython", cache, f"{programs}/python")
        cpython = f"{programs}/python/python.wasm"
        rows.append(Row(
            "cpython", python, "wrun map, CPython 3.12 as a program of preview 1",
            lambda: map_ms(cpython, "print(sum(range(1000)) + {})", SLOW_TASKS, "-c", "{}"),
        ))
        packages.lay_out("QuickJS", cache, f"{programs}/quickjs")
        quickjs = f"{programs}/quickjs/quickjs.wasm"
        rows.append(Row(
            "quickjs", javascript, "wrun map, QuickJS as a program of preview 1",
            lambda: map_ms(quickjs, "console.log(1 + {})", TASKS, "-e", "{}"),
        ))
    except packages.Unavailable as error:
        print(f"left out: programs of preview 1: cannot download {error}", file=sys.stderr)
    return sorted(rows, key=lambda row: row.section, reverse=True)


def main():
    parser = argparse.ArgumentParser(prog="benches/peers/driver/components.py")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measure each row this many times (default: 5)")
    options = parser.parse_args()
    process.PATIENCE_SECONDS = 600
    rows = all_rows(build())
    # The first round compiles, and does not count.
    for row in rows:
        row.measure()
    for _ in range(options.rounds):
        for row in rows:
            row.take()
    about = machine.describe({"wrun": machine.first_line([WRUN, "--version"]).removeprefix("wrun "), **VERSIONS})
    print(report.heading(about, options.rounds) + "\n" + report.samples(rows), end="")


main()
