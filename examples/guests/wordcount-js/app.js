// Counts words.
//
//     wrun map MODULE --call count --split 16M big.txt --reduce merge
//
// A word is a maximal run of ASCII letters and digits. `count` writes a line `WORD COUNT` for each word, in the order of the
// words' bytes; `merge` combines several such tables into one, in any grouping and order.

import { count as inputCount, get } from "wrun:task/inputs@0.1.0";
import { write } from "wrun:task/output@0.1.0";

const CHUNK = 1n << 20n;
// One character for each byte.
const latin1 = new TextDecoder("latin1");

function* chunks(input) {
  const length = input.len();
  let rest = "";
  for (let offset = 0n; offset < length; offset += CHUNK) {
    rest += latin1.decode(input.read(offset, CHUNK));
    const end = rest.search(/[0-9A-Za-z]*$/);
    yield rest.slice(0, end);
    rest = rest.slice(end);
  }
  yield rest;
}

function writeTable(table) {
  const words = [...table.keys()].sort((a, b) => (a < b ? -1 : 1));
  write(new TextEncoder().encode(words.map((word) => `${word} ${table.get(word)}\n`).join("")));
}

export function count() {
  const table = new Map();
  for (const chunk of chunks(get(0))) {
    for (const word of chunk.match(/[0-9A-Za-z]+/g) ?? []) {
      table.set(word, (table.get(word) ?? 0) + 1);
    }
  }
  writeTable(table);
}

export function merge() {
  const table = new Map();
  for (let index = 0; index < inputCount(); index++) {
    const input = get(index);
    for (const line of latin1.decode(input.read(0n, input.len())).split("\n")) {
      const [word, number] = line.split(" ");
      if (number !== undefined) {
        table.set(word, (table.get(word) ?? 0) + Number(number));
      }
    }
  }
  writeTable(table);
}
