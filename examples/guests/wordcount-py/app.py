"""Counts words.

    wrun map MODULE --call count --split 16M big.txt --reduce merge

A word is a maximal run of ASCII letters and digits. `count` writes a line `WORD COUNT` for each word, in the order of the
words' bytes; `merge` combines several such tables into one, in any grouping and order.
"""

import re
from collections import Counter

from wit_world.imports import inputs, output

WORD = re.compile(rb"[0-9A-Za-z]+")
CHUNK = 1 << 20


def chunks(file):
    """The file's bytes, with no word in two chunks."""
    rest = b""
    for offset in range(0, file.len(), CHUNK):
        rest += file.read(offset, CHUNK)
        end = len(rest)
        while end > 0 and rest[end - 1 : end].isalnum():
            end -= 1
        yield rest[:end]
        rest = rest[end:]
    yield rest


def write(table):
    output.write(b"".join(b"%s %d\n" % item for item in sorted(table.items())))


class WitWorld:
    def count(self):
        table = Counter()
        for chunk in chunks(inputs.get(0)):
            table.update(WORD.findall(chunk))
        write(table)

    def merge(self):
        table = Counter()
        for index in range(inputs.count()):
            file = inputs.get(index)
            for line in file.read(0, file.len()).splitlines():
                word, count = line.split()
                table[word] += int(count)
        write(table)
