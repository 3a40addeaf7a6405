#!/usr/bin/env python3
"""Writes trips.arrow next to this script: pip install pyarrow.

500 invented taxi trips in 5 record batches: kind (a dictionary of strings), distance in km (with nulls), fare in cents
(with nulls).
"""

import os

import pyarrow as pa

ROWS, BATCHES = 500, 5
KINDS = ["bus", "cab", "taxi", "van"]


def random(seed):
    """The same numbers everywhere: the upper bits of a linear congruential generator (Knuth's MMIX)."""
    while True:
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        yield seed >> 33


numbers = random(1)
rows = []
for _ in range(ROWS):
    kind, meters, cents = next(numbers) % len(KINDS), next(numbers) % 20000, next(numbers) % 9000 + 350
    distance = None if next(numbers) % 17 == 0 else meters / 1000
    fare = None if next(numbers) % 13 == 0 else cents
    rows.append((KINDS[kind], distance, fare))

kind, distance, fare = zip(*rows)
table = pa.table({
    "kind": pa.array(kind).dictionary_encode(),
    "distance": pa.array(distance, pa.float64()),
    "fare": pa.array(fare, pa.int64()),
})
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trips.arrow")
with pa.ipc.new_file(path, table.schema) as writer:
    writer.write_table(table, max_chunksize=ROWS // BATCHES)
