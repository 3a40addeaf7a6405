// Counts words.
//
//     wrun map MODULE --call count --split 16M big.txt --reduce merge
//
// A word is a maximal run of ASCII letters and digits. `count` writes a line `WORD COUNT` for each word, in the order of the words'
// bytes; `merge` combines several such tables into one, in any grouping and order.

import * as wrun from "wrun";

// @ts-ignore: a decorator of a function
@inline
function isWord(char: u8): bool {
  return (char >= 48 && char <= 57) || (char >= 65 && char <= 90) || (char >= 97 && char <= 122);
}

/** Words and how often they occur. The bytes of a word lie at `at` in `bytes`. */
class Table {
  private bytes: StaticArray<u8> = new StaticArray<u8>(1 << 16);
  private used: i32 = 0;
  // The slots of a hash table with open addressing: the word's start, its length, its hash, and its count, which is 0 in free ones.
  private starts: StaticArray<i32> = new StaticArray<i32>(1 << 12);
  private lengths: StaticArray<i32> = new StaticArray<i32>(1 << 12);
  private hashes: StaticArray<u32> = new StaticArray<u32>(1 << 12);
  private counts: StaticArray<u64> = new StaticArray<u64>(1 << 12);
  private words: i32 = 0;

  /** Adds a word, whose bytes are at this address. */
  add(word: usize, length: i32, count: u64): void {
    let hash: u32 = 2166136261;
    for (let at = 0; at < length; at++) hash = (hash ^ load<u8>(word + at)) * 16777619;
    hash ^= hash >> 15;
    const slot = this.find(word, length, hash);
    if (!this.counts[slot]) {
      this.starts[slot] = this.keep(word, length);
      this.lengths[slot] = length;
      this.hashes[slot] = hash;
      this.words++;
    }
    this.counts[slot] += count;
    if (this.words > this.counts.length / 2) this.grow();
  }

  /** The word's slot, or the free one where it belongs. */
  private find(word: usize, length: i32, hash: u32): i32 {
    const mask = this.counts.length - 1;
    let slot = hash & mask;
    while (
      this.counts[slot] &&
      !(this.hashes[slot] == hash && this.lengths[slot] == length && memory.compare(this.address(slot), word, length) == 0)
    ) {
      slot = (slot + 1) & mask;
    }
    return slot;
  }

  private address(slot: i32): usize {
    return changetype<usize>(this.bytes) + this.starts[slot];
  }

  /** Copies a word's bytes. Returns where they begin. */
  private keep(word: usize, length: i32): i32 {
    const start = this.used;
    this.used += length;
    if (this.used > this.bytes.length) {
      const larger = new StaticArray<u8>(2 * this.used);
      memory.copy(changetype<usize>(larger), changetype<usize>(this.bytes), start);
      this.bytes = larger;
    }
    memory.copy(changetype<usize>(this.bytes) + start, word, length);
    return start;
  }

  private grow(): void {
    const starts = this.starts, lengths = this.lengths, hashes = this.hashes, counts = this.counts;
    const slots = 2 * counts.length;
    this.starts = new StaticArray<i32>(slots);
    this.lengths = new StaticArray<i32>(slots);
    this.hashes = new StaticArray<u32>(slots);
    this.counts = new StaticArray<u64>(slots);
    for (let old = 0; old < counts.length; old++) {
      if (!counts[old]) continue;
      const word = changetype<usize>(this.bytes) + starts[old];
      const slot = this.find(word, lengths[old], hashes[old]);
      this.starts[slot] = starts[old];
      this.lengths[slot] = lengths[old];
      this.hashes[slot] = hashes[old];
      this.counts[slot] = counts[old];
    }
  }

  /** Writes the table as text. */
  write(): void {
    const order = new Array<i32>();
    let size = 0;
    for (let slot = 0; slot < this.counts.length; slot++) {
      if (!this.counts[slot]) continue;
      order.push(slot);
      // A space, at most 20 digits, and the line's end.
      size += this.lengths[slot] + 22;
    }
    sorted = this;
    order.sort((a, b) => sorted.compare(a, b));
    const text = new Uint8Array(size);
    let to = text.dataStart;
    for (let at = 0; at < order.length; at++) {
      const slot = order[at];
      memory.copy(to, this.address(slot), this.lengths[slot]);
      to += this.lengths[slot];
      store<u8>(to++, 32);
      to = writeNumber(to, this.counts[slot]);
      store<u8>(to++, 10);
    }
    wrun.output(text.subarray(0, <i32>(to - text.dataStart)));
  }

  compare(a: i32, b: i32): i32 {
    const lengths = this.lengths;
    const order = memory.compare(this.address(a), this.address(b), min(lengths[a], lengths[b]));
    return order ? order : lengths[a] - lengths[b];
  }
}

// What is being sorted: functions do not capture variables.
let sorted: Table = new Table();

/** Writes a number in decimal. Returns the address behind it. */
function writeNumber(to: usize, number: u64): usize {
  let digits = 1;
  for (let rest = number / 10; rest; rest /= 10) digits++;
  for (let at = to + digits - 1; at >= to; at--, number /= 10) store<u8>(at, 48 + <u8>(number % 10));
  return to + digits;
}

export function task_count(): i32 {
  if (!wrun.Input.count) return wrun.fail("this task has no input: use --files, --split or --input");
  const table = new Table();
  const chunks = new wrun.Input(0).chunks(1 << 20);
  // The beginning of a word that goes on in the next chunk.
  const begun = new Array<u8>();
  while (chunks.next()) {
    let at = chunks.start;
    while (at < chunks.end) {
      let end = at;
      while (end < chunks.end && isWord(load<u8>(end))) end++;
      if (end == chunks.end || begun.length) {
        for (let char = at; char < end; char++) begun.push(load<u8>(char));
        if (end < chunks.end && begun.length) {
          table.add(begun.dataStart, begun.length, 1);
          begun.length = 0;
        }
      } else if (end > at) {
        table.add(at, <i32>(end - at), 1);
      }
      at = end + 1;
    }
  }
  if (begun.length) table.add(begun.dataStart, begun.length, 1);
  table.write();
  return wrun.OK;
}

export function task_merge(): i32 {
  const table = new Table();
  for (let number: u32 = 0; number < wrun.Input.count; number++) {
    const input = new wrun.Input(number);
    const text = new Uint8Array(<i32>input.length);
    input.readAt(0, text);
    const end = text.dataStart + text.length;
    let line = 0;
    for (let at = text.dataStart; at < end; at++) {
      line++;
      const word = at;
      while (at < end && isWord(load<u8>(at))) at++;
      const length = <i32>(at - word);
      if (at < end && load<u8>(at) == 32) at++;
      let count: u64 = 0;
      const digits = at;
      while (at < end && load<u8>(at) >= 48 && load<u8>(at) <= 57) count = 10 * count + (load<u8>(at++) - 48);
      if (!length || at == digits || !count || (at < end && load<u8>(at) != 10)) {
        return wrun.fail(`table ${number}: line ${line} is not \`WORD COUNT\``);
      }
      table.add(word, length, count);
    }
  }
  table.write();
  return wrun.OK;
}
