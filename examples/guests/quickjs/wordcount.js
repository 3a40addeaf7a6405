// Counts words: `run` makes a table of one piece of text, `merge` combines several tables into one.
//
// A word is a maximal run of ASCII letters and digits. A table has a line `WORD COUNT` for each word, in the order of the words'
// bytes. `merge` gives the same result for any grouping and order of its tables.

function run([text]) {
  const table = new Map();
  for (const word of text.match(/[A-Za-z0-9]+/g) ?? []) table.set(word, (table.get(word) ?? 0) + 1);
  return written(table);
}

function merge(tables) {
  const merged = new Map();
  tables.forEach((table, number) => {
    table.split("\n").slice(0, -1).forEach((row, line) => {
      const match = /^([A-Za-z0-9]+) ([1-9][0-9]*)$/.exec(row);
      if (!match) throw new Error(`table ${number}: line ${line + 1} is not \`WORD COUNT\``);
      merged.set(match[1], (merged.get(match[1]) ?? 0) + Number(match[2]));
    });
  });
  return written(merged);
}

// The default order of strings is that of their bytes, because they are ASCII.
function written(table) {
  return [...table.keys()].sort().map((word) => `${word} ${table.get(word)}\n`).join("");
}
