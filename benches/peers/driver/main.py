"""Measures all rows in turn, several times over, and prints one table.

Round robin: a round measures each row once, so that what changes on the machine in the meantime falls on all rows alike.
Memory is sampled in rounds of its own, because looking at it takes time.
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
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each row is measured (5)")
    parser.add_argument("--write", action="store_true", help="write benches/RESULTS.md and benches/results.json")
    parser.add_argument("--parts", action="store_true", help="add what criterion measured of the parts just before")
    options = parser.parse_args()

    about = machine.describe()
    if os.getloadavg()[0] > 0.5:
        print(f"note: the machine is busy (load {os.getloadavg()[0]:.2f})", file=sys.stderr)
    measured = rows.all_rows()
    for number in range(options.rounds):
        for row in measured:
            tell(f"round {number + 1} of {options.rounds}: {row.name}")
            row.take()
    for number in range(MEMORY_ROUNDS):
        for row in measured:
            if row.memory:
                tell(f"memory {number + 1} of {MEMORY_ROUNDS}: {row.name}")
                row.take_memory()
    tell("memory: 10 million tasks")
    peak_mib = rows.peak_of_ten_million_mib()
    tell("")
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


def tell(what):
    """Says what is being done, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


main()
