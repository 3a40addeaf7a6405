"""Measures all rows in turn, several times, and prints one table.

Each round measures every row once, so that changes on the machine affect all rows alike. Memory is sampled in separate
rounds, because sampling takes time.
"""

import argparse
import os
import sys

import goals
import machine
import parts
import report
import rows

ROUNDS = 5
MEMORY_ROUNDS = 3


def main():
    parser = argparse.ArgumentParser(prog="benches/peers/run")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="measure each row this many times (default: 5)")
    parser.add_argument("--write", action="store_true", help="write benches/RESULTS.md and benches/results.json")
    parser.add_argument("--parts", action="store_true", help="add the parts that criterion measured just before")
    options = parser.parse_args()

    about = machine.describe(machine.versions())
    if os.getloadavg()[0] > 0.5:
        print(f"note: the machine is busy (load {os.getloadavg()[0]:.2f})", file=sys.stderr)
    measured = rows.all_rows()
    for number in range(options.rounds):
        for row in measured:
            show(f"round {number + 1} of {options.rounds}: {row.name}")
            row.take()
    for number in range(MEMORY_ROUNDS):
        for row in measured:
            if row.memory:
                show(f"memory {number + 1} of {MEMORY_ROUNDS}: {row.name}")
                row.take_memory()
    show("memory: 10 million tasks")
    peak_mib = rows.peak_of_ten_million_mib()
    show("")
    times = parts.medians() if options.parts else {}
    verdicts = goals.judge({row.key: row for row in measured}, peak_mib, times)
    text = report.table(measured) + report.parts(times) + "\n" + report.goals(verdicts)
    print(report.heading(about, options.rounds) + "\n" + text, end="")
    written = report.to_json(about, measured, times, verdicts)
    if options.write:
        with open("benches/RESULTS.md", "w") as file:
            file.write(report.document(about, options.rounds, text))
    path = "benches/results.json" if options.write else "target/bench-peers/results.json"
    with open(path, "w") as file:
        file.write(written)
    print(f"\nall samples: {path}")


def show(what):
    """Shows what is being done, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


main()
