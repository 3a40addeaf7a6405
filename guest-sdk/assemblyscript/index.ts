// Tasks for wrun in AssemblyScript. A task is an exported function `task_NAME` that returns 0, or what `fail` returns:
//
//     import * as wrun from "wrun";
//
//     export function task_shout(): i32 {
//       wrun.outputText(wrun.argText().toUpperCase());
//       return wrun.OK;
//     }
//
// Build it with the transform, which gives tasks their names, and with this library's `abort`:
//
//     asc shout.ts -o shout.wasm -O --transform wrun/transform --use abort=~lib/wrun/index/abort
//     wrun map shout.wasm --call shout hello world
//
// AssemblyScript's allocator takes all memory for its own, so inputs are not mapped into new pages: `Input.readAt` copies, and
// `Chunks` maps one piece after another over a buffer.

@external("wrun_v1", "task_index")
declare function task_index(): u64;
@external("wrun_v1", "arg_len")
declare function arg_len(): u32;
@external("wrun_v1", "arg_read")
declare function arg_read(dst: usize): void;
@external("wrun_v1", "input_count")
declare function input_count(): u32;
@external("wrun_v1", "input_find")
declare function input_find(name: usize, len: usize): i32;
@external("wrun_v1", "input_len")
declare function input_len(input: u32): u64;
@external("wrun_v1", "input_read")
declare function input_read(input: u32, offset: u64, len: usize, dst: usize): void;
@external("wrun_v1", "input_map_at")
declare function input_map_at(input: u32, offset: u64, len: usize, dst: usize): usize;
@external("wrun_v1", "input_unmap")
declare function input_unmap(address: usize): void;
@external("wrun_v1", "output_write")
declare function output_write(bytes: usize, len: usize): void;
@external("wrun_v1", "region_find")
declare function region_find(name: usize, len: usize): i32;
@external("wrun_v1", "region_len")
declare function region_len(region: u32): u64;
@external("wrun_v1", "region_map_at")
declare function region_map_at(region: u32, offset: u64, len: usize, dst: usize): usize;
@external("wrun_v1", "fail")
declare function fail_with(text: usize, len: usize): void;
@external("wrun_v1", "log")
declare function log_line(level: i32, text: usize, len: usize): void;

/** What a task returns when its result is complete. */
export const OK: i32 = 0;

/** Sets the task's error message, and returns what the task has to return. */
export function fail(message: string): i32 {
  const text = String.UTF8.encode(message);
  fail_with(changetype<usize>(text), text.byteLength);
  return 1;
}

/** The importance of a log line. */
export enum Level { Error = 1, Warn, Info, Debug, Trace }

/** Writes a log line, attributed to the task. */
export function log(level: Level, line: string): void {
  const text = String.UTF8.encode(line);
  log_line(level, changetype<usize>(text), text.byteLength);
}

/** The position of the task's item in the job, from 0. */
export function taskIndex(): u64 {
  return task_index();
}

/** The task's argument: the item's text, for a file its path. */
export function arg(): ArrayBuffer {
  const bytes = new ArrayBuffer(arg_len());
  arg_read(changetype<usize>(bytes));
  return bytes;
}

/** The same as a string. */
export function argText(): string {
  return String.UTF8.decode(arg());
}

/** Appends bytes to the task's result. */
export function output(bytes: Uint8Array): void {
  output_write(bytes.dataStart, bytes.length);
}

/** Appends text to the task's result, in UTF-8. */
export function outputText(text: string): void {
  const bytes = String.UTF8.encode(text);
  output_write(changetype<usize>(bytes), bytes.byteLength);
}

/** A file, or a piece of one. */
export class Input {
  /** Its length in bytes. */
  readonly length: u64;

  constructor(readonly index: u32) {
    this.length = input_len(index);
  }

  /** How many inputs the task has: its own file or piece, if its item is one, and the shared ones. */
  static get count(): u32 {
    return input_count();
  }

  /** The shared input with this name, or null. */
  static find(name: string): Input | null {
    const text = String.UTF8.encode(name);
    const index = input_find(changetype<usize>(text), text.byteLength);
    return index < 0 ? null : new Input(index);
  }

  /** Copies bytes from `offset` on. Returns how many: fewer than `to` holds only at the end. */
  readAt(offset: u64, to: Uint8Array): i32 {
    const count = clip(to.length, offset, this.length);
    input_read(this.index, offset < this.length ? offset : this.length, count, to.dataStart);
    return <i32>count;
  }

  /** The input in pieces of at most `size` bytes, in order. */
  chunks(size: i32): Chunks {
    return new Chunks(this, size);
  }
}

/**
 * The pieces of an input. They are mapped over one buffer, not copied:
 *
 *     const chunks = input.chunks(1 << 20);
 *     while (chunks.next()) {
 *       for (let at = chunks.start; at < chunks.end; at++) sum += load<u8>(at);
 *     }
 *
 * Each is valid until `next` is called again, and must not be written. After the last one the buffer is given back; call `close` if
 * you stop earlier.
 */
export class Chunks {
  /** The address of the piece's first byte. */
  start: usize = 0;
  /** The address behind its last byte. */
  end: usize = 0;
  private offset: u64 = 0;
  private window: Window;

  constructor(private input: Input, private size: i32) {
    this.window = new Window(clip(size, 0, input.length));
  }

  /** Maps the next piece, if there is one. */
  next(): bool {
    this.giveBack();
    const count = clip(this.size, this.offset, this.input.length);
    if (!count) {
      this.close();
      return false;
    }
    this.start = input_map_at(this.input.index, this.offset, count, this.window.first);
    this.end = this.start + count;
    this.offset += count;
    return true;
  }

  /** Gives the buffer back. */
  close(): void {
    this.giveBack();
    this.window.free();
    this.offset = this.input.length;
  }

  private giveBack(): void {
    if (this.start) input_unmap(this.start);
    this.start = this.end = 0;
  }
}

/** The task's output slice: its own range of the job's output file. */
export class Slice {
  /** Its length in bytes. */
  readonly length: u64;

  private constructor() {
    this.length = region_len(0);
  }

  /** The task's output slice, or null if the job has none. */
  static get(): Slice | null {
    return region_find(0, 0) < 0 ? null : new Slice();
  }

  /** Copies bytes to `offset`. Returns how many: fewer than `from` holds only at the end. */
  writeAt(offset: u64, from: Uint8Array): i32 {
    const count = clip(from.length, offset, this.length);
    const window = new Window(min(count, SLICE_WINDOW));
    for (let done: usize = 0; done < count; ) {
      const part = min(count - done, SLICE_WINDOW);
      const at = region_map_at(0, offset + done, part, window.first);
      memory.copy(at, from.dataStart + done, part);
      input_unmap(at);
      done += part;
    }
    window.free();
    return <i32>count;
  }
}

/** Called by AssemblyScript where something is wrong: the task's message says what and where. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  fail(`${message ? message : "aborted"} (${file ? file : "?"}:${line}:${column})`);
  unreachable();
}

/** Bytes of a slice that are mapped at a time, for copying. */
const SLICE_WINDOW: usize = 1 << 20;

/** How many of `count` bytes from `offset` on there are in something with this length. */
function clip(count: i32, offset: u64, length: u64): usize {
  return offset < length ? <usize>min(<u64>count, length - offset) : 0;
}

const PAGE: usize = 64 << 10;

/** The unit in which offsets in a file and addresses of windows agree. */
const GRANULE: usize = 4 << 10;

/** Memory of whole wasm pages, for windows of up to a given length. It is not under the garbage collector. */
class Window {
  private memory: usize;

  constructor(length: usize) {
    this.memory = heap.alloc(length + GRANULE + 2 * PAGE);
  }

  /** The address of its first page. */
  get first(): usize {
    return (this.memory + PAGE - 1) & ~(PAGE - 1);
  }

  free(): void {
    if (this.memory) heap.free(this.memory);
    this.memory = 0;
  }
}
