//! Write tasks for wrun in Zig. A task is a function without parameters that returns nothing, or an error:
//!
//!     const std = @import("std");
//!     const wrun = @import("wrun");
//!
//!     pub const panic = wrun.panic;
//!
//!     comptime {
//!         wrun.task("shout", shout);
//!     }
//!
//!     fn shout() !void {
//!         const text = try wrun.arg(wrun.allocator);
//!         for (text) |*char| char.* = std.ascii.toUpper(char.*);
//!         wrun.output(text);
//!     }
//!
//! Build it as a module without a start function:
//!
//!     zig build-exe -target wasm32-freestanding -fno-entry -rdynamic -O ReleaseFast --dep wrun -Mroot=shout.zig -Mwrun=wrun.zig --name shout
//!     wrun map shout.wasm hello world
//!
//! Inputs are mapped, not copied. Unit tests (`zig test`) run on this machine, where `host` stands for wrun.

const std = @import("std");
const builtin = @import("builtin");
const is_wasm = builtin.cpu.arch.isWasm();

/// Exports `function` as the task `name`, which `wrun map --call name` calls. An error that it returns fails the task.
pub fn task(comptime name: []const u8, comptime function: anytype) void {
    const Export = struct {
        fn run() callconv(.c) i32 {
            const result = function();
            if (@typeInfo(@TypeOf(result)) != .error_union) return 0;
            result catch |problem| {
                if (problem != error.TaskFailed) failWith(@errorName(problem));
                return 1;
            };
            return 0;
        }
    };
    if (is_wasm) @export(&Export.run, .{ .name = "wrun:task/" ++ name });
}

/// Memory for a task. Everything is freed when it ends.
pub const allocator: std.mem.Allocator = if (is_wasm) std.heap.wasm_allocator else std.heap.page_allocator;

/// The position of the task's item in the job, from 0.
pub fn taskIndex() u64 {
    return imports.task_index();
}

/// The task's argument: the item's text, for a file its path.
pub fn arg(gpa: std.mem.Allocator) ![]u8 {
    const text = try gpa.alloc(u8, imports.arg_len());
    imports.arg_read(text.ptr);
    return text;
}

/// A file, or a piece of one.
pub const Input = struct {
    index: u32,

    /// How many inputs there are: first the task's own file or piece, if its item is one, then the shared ones in the order of the
    /// command line. The inputs of a merge are the results that it merges.
    pub fn count() u32 {
        return imports.input_count();
    }

    /// The input with this index, or an error that says how to give one.
    pub fn get(index: u32) !Input {
        if (index >= count()) return fail("this task has no input {d}: use --files, --split or --input", .{index});
        return .{ .index = index };
    }

    /// The shared input with this name.
    pub fn find(name: []const u8) ?Input {
        const index = imports.input_find(name.ptr, name.len);
        return if (index < 0) null else .{ .index = @intCast(index) };
    }

    /// Its length in bytes.
    pub fn len(input: Input) u64 {
        return imports.input_len(input.index);
    }

    /// All of its bytes, mapped read-only.
    pub fn map(input: Input) ![]const u8 {
        const all = std.math.cast(i32, input.len()) orelse
            return fail("the input is too large to be mapped at once: use --split", .{});
        return input.mapRange(0, @intCast(all));
    }

    /// Some of its bytes, mapped read-only. A range that it does not have ends the task.
    pub fn mapRange(input: Input, offset: u64, length: usize) []const u8 {
        return imports.input_map(input.index, offset, length)[0..length];
    }

    /// Copies bytes from `offset` on. A range that it does not have ends the task.
    pub fn read(input: Input, offset: u64, to: []u8) void {
        imports.input_read(input.index, offset, to.len, to.ptr);
    }
};

/// Memory of a file that is written in place: the task's output slice, or shared memory.
pub const Region = struct {
    index: u32,

    /// The task's output slice, if the job has one (`--out`, `--slice`).
    pub fn outputSlice() ?Region {
        return find("");
    }

    /// The shared memory with this name (`--shared`). Other tasks write to it at the same time: use atomic operations only.
    pub fn find(name: []const u8) ?Region {
        const index = imports.region_find(name.ptr, name.len);
        return if (index < 0) null else .{ .index = @intCast(index) };
    }

    /// Its length in bytes.
    pub fn len(region: Region) u64 {
        return imports.region_len(region.index);
    }

    /// Some of its bytes, mapped writable. A range that it does not have ends the task.
    pub fn mapRange(region: Region, offset: u64, length: usize) []u8 {
        return imports.region_map(region.index, offset, length)[0..length];
    }
};

/// Undoes one `mapRange` or `map`. Only tasks that read more than fits into memory need it.
pub fn unmap(bytes: []const u8) void {
    imports.input_unmap(bytes.ptr);
}

/// Appends bytes to the task's result.
pub fn output(bytes: []const u8) void {
    imports.output_write(bytes.ptr, bytes.len);
}

/// A writer that appends to the task's result. Flush it at the end.
pub fn writer(buffer: []u8) std.Io.Writer {
    return .{ .buffer = buffer, .vtable = &.{ .drain = drain } };
}

fn drain(to: *std.Io.Writer, data: []const []const u8, splat: usize) std.Io.Writer.Error!usize {
    output(to.buffered());
    to.end = 0;
    var written: usize = 0;
    for (data, 1..) |bytes, part| {
        for (0..if (part == data.len) splat else 1) |_| {
            output(bytes);
            written += bytes.len;
        }
    }
    return written;
}

/// Sets the task's error message and gives the error to return:
///
///     return wrun.fail("line {d}: not a number", .{line});
pub fn fail(comptime format: []const u8, args: anytype) error{TaskFailed} {
    var buffer: [1024]u8 = undefined;
    failWith(formatted(&buffer, format, args));
    return error.TaskFailed;
}

fn failWith(message: []const u8) void {
    imports.fail(message.ptr, message.len);
}

/// Writes a log line, attributed to the task.
pub fn log(level: Level, comptime format: []const u8, args: anytype) void {
    var buffer: [1024]u8 = undefined;
    const text = formatted(&buffer, format, args);
    imports.log(@backingInt(level), text.ptr, text.len);
}

pub const Level = enum(i32) { err = 1, warn, info, debug, trace };

/// As much of the text as fits.
fn formatted(buffer: []u8, comptime format: []const u8, args: anytype) []const u8 {
    var text: std.Io.Writer = .fixed(buffer);
    text.print(format, args) catch {};
    return text.buffered();
}

/// Makes the message of a panic that of the task, if the root file has `pub const panic = wrun.panic;`.
pub const panic = std.debug.FullPanic(panicked);

fn panicked(message: []const u8, address: ?usize) noreturn {
    if (!is_wasm) std.debug.defaultPanic(message, address);
    failWith(message);
    @trap();
}

/// The contract's imports.
const imports = if (is_wasm) struct {
    extern "wrun_v1" fn task_index() u64;
    extern "wrun_v1" fn arg_len() usize;
    extern "wrun_v1" fn arg_read(to: [*]u8) void;
    extern "wrun_v1" fn input_count() u32;
    extern "wrun_v1" fn input_find(name: [*]const u8, len: usize) i32;
    extern "wrun_v1" fn input_len(input: u32) u64;
    extern "wrun_v1" fn input_map(input: u32, offset: u64, len: usize) [*]const u8;
    extern "wrun_v1" fn input_read(input: u32, offset: u64, len: usize, to: [*]u8) void;
    extern "wrun_v1" fn input_unmap(address: [*]const u8) void;
    extern "wrun_v1" fn output_write(bytes: [*]const u8, len: usize) void;
    extern "wrun_v1" fn region_find(name: [*]const u8, len: usize) i32;
    extern "wrun_v1" fn region_len(region: u32) u64;
    extern "wrun_v1" fn region_map(region: u32, offset: u64, len: usize) [*]u8;
    extern "wrun_v1" fn fail(text: [*]const u8, len: usize) void;
    extern "wrun_v1" fn log(level: i32, text: [*]const u8, len: usize) void;
} else host;

/// What stands for wrun in unit tests. Set what the task is to see, call it, and look at its result.
pub const host = struct {
    pub var argument: []const u8 = "";
    pub var inputs: []const []const u8 = &.{};
    pub var output_slice: ?[]u8 = null;
    /// The task's result, as much of it as fits into 64 KiB.
    pub var result: std.Io.Writer = .fixed(&result_buffer);
    /// The task's error message.
    pub var message: []const u8 = "";

    var result_buffer: [64 << 10]u8 = undefined;
    var message_buffer: [1024]u8 = undefined;

    /// Forgets the last task.
    pub fn reset() void {
        argument = "";
        inputs = &.{};
        output_slice = null;
        result = .fixed(&result_buffer);
        message = "";
    }

    fn task_index() u64 {
        return 0;
    }
    fn arg_len() usize {
        return argument.len;
    }
    fn arg_read(to: [*]u8) void {
        @memcpy(to, argument);
    }
    fn input_count() u32 {
        return @intCast(inputs.len);
    }
    fn input_find(_: [*]const u8, _: usize) i32 {
        return -1;
    }
    fn input_len(input: u32) u64 {
        return inputs[input].len;
    }
    fn input_map(input: u32, offset: u64, len: usize) [*]const u8 {
        return inputs[input][@intCast(offset)..][0..len].ptr;
    }
    fn input_read(input: u32, offset: u64, len: usize, to: [*]u8) void {
        @memcpy(to, inputs[input][@intCast(offset)..][0..len]);
    }
    fn input_unmap(_: [*]const u8) void {}
    fn output_write(bytes: [*]const u8, len: usize) void {
        result.writeAll(bytes[0..len]) catch {};
    }
    fn region_find(_: [*]const u8, len: usize) i32 {
        return if (len == 0 and output_slice != null) 0 else -1;
    }
    fn region_len(_: u32) u64 {
        return output_slice.?.len;
    }
    fn region_map(_: u32, offset: u64, len: usize) [*]u8 {
        return output_slice.?[@intCast(offset)..][0..len].ptr;
    }
    fn fail(text: [*]const u8, len: usize) void {
        const kept = @min(len, message_buffer.len);
        @memcpy(message_buffer[0..kept], text[0..kept]);
        message = message_buffer[0..kept];
    }
    fn log(_: i32, _: [*]const u8, _: usize) void {}
};

test "a task reads its argument and inputs, and writes its result" {
    host.reset();
    host.argument = "abc";
    host.inputs = &.{"0123456789"};
    const text = try arg(std.testing.allocator);
    defer std.testing.allocator.free(text);
    try std.testing.expectEqualStrings("abc", text);
    const input = try Input.get(0);
    try std.testing.expectEqualStrings("0123456789", try input.map());
    var part: [3]u8 = undefined;
    input.read(7, &part);
    output(&part);
    var buffer: [4]u8 = undefined;
    var to = writer(&buffer);
    try to.print("{d} {s}", .{ 12345, input.mapRange(1, 2) });
    try to.splatByteAll('!', 9);
    try to.flush();
    try std.testing.expectEqualStrings("78912345 12!!!!!!!!!", host.result.buffered());
}

test "an input that is not there is an error with a message" {
    host.reset();
    try std.testing.expectError(error.TaskFailed, Input.get(1));
    try std.testing.expectEqualStrings("this task has no input 1: use --files, --split or --input", host.message);
    try std.testing.expect(Input.find("none") == null and Region.outputSlice() == null);
}

test "an output slice is written in place" {
    host.reset();
    var file = "......".*;
    host.output_slice = &file;
    const slice = Region.outputSlice().?;
    @memcpy(slice.mapRange(1, 2), "ab");
    try std.testing.expectEqualStrings(".ab...", &file);
}
