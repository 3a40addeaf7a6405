// Uses all of the library for AssemblyScript.

import * as wrun from "wrun";

// Writes the argument to the middle of the output slice, and returns what was read from the shared input `data`.
export function task_all(): i32 {
  const slice = wrun.Slice.get();
  if (!slice) return wrun.fail("no output slice");
  const bytes = Uint8Array.wrap(wrun.arg());
  const middle = new Uint8Array(<i32>slice.length - 2);
  for (let at = 0; at < middle.length; at++) middle[at] = bytes[at % bytes.length];
  if (slice.writeAt(1, middle) != middle.length) return wrun.fail("not all was written");
  if (slice.writeAt(slice.length - 1, bytes) != 1) return wrun.fail("too much was written");

  const input = wrun.Input.find("data");
  if (!input || wrun.Input.find("none")) return wrun.fail("inputs are not found by their names");
  if (wrun.Input.count != 1) return wrun.fail("inputs are not counted");
  const text = new Uint8Array(<i32>input.length);
  if (input.readAt(0, text) != text.length) return wrun.fail("not all was read");
  const chunks = input.chunks(70001);
  let at = 0;
  while (chunks.next()) {
    for (let byte = chunks.start; byte < chunks.end; byte++) assert(load<u8>(byte) == text[at++], "a chunk is not what was read");
  }
  assert(at == text.length);
  const first = input.chunks(1);
  first.next();
  first.close();
  assert(!first.next());
  const part = new Uint8Array(10);
  if (input.readAt(input.length - 5, part) != 5) return wrun.fail("too much was read");
  wrun.log(wrun.Level.Warn, `task ${wrun.taskIndex()}`);
  wrun.output(part.subarray(0, 5));
  wrun.outputText(` ${text.length}`);
  return wrun.OK;
}

export function task_fails(): i32 {
  return wrun.fail("line 3: not a number");
}

export function task_aborts(): i32 {
  assert(wrun.argText() == "", "an assertion");
  return wrun.OK;
}
