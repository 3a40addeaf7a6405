//! Uses all of the package for Zig.
const std = @import("std");
const wrun = @import("wrun");

pub const panic = wrun.panic;

comptime {
    wrun.task("all", all);
    wrun.task("fails", fails);
    wrun.task("runs_out", runsOut);
    wrun.task("panics", panics);
    wrun.task("nothing", nothing);
}

// Writes the argument to the middle of the output slice, and returns what was read from the shared input `data`.
fn all() !void {
    const slice = wrun.Region.outputSlice() orelse return wrun.fail("no output slice", .{});
    const arg = try wrun.arg(wrun.allocator);
    for (slice.mapRange(1, @intCast(slice.len() - 2)), 0..) |*byte, at| byte.* = arg[at % arg.len];
    slice.mapRange(slice.len() - 1, 1)[0] = arg[0];

    const input = wrun.Input.find("data") orelse return wrun.fail("the input is not found", .{});
    const size = input.len();
    if (wrun.Input.find("none") != null or wrun.Region.find("none") != null) return wrun.fail("something is found", .{});
    if (wrun.Input.count() != 1 or (try wrun.Input.get(0)).index != input.index) return wrun.fail("inputs are not counted", .{});
    const text = try input.map();
    const part = input.mapRange(70_001, 100);
    if (text.len != size or !std.mem.eql(u8, part, text[70_001..][0..100])) return wrun.fail("a part is not what was mapped", .{});
    wrun.unmap(part);
    var end: [5]u8 = undefined;
    input.read(size - 5, &end);
    wrun.log(.warn, "task {d}", .{wrun.taskIndex()});
    wrun.output(end[0..2]);
    var buffer: [2]u8 = undefined;
    var writer = wrun.writer(&buffer);
    try writer.print("{s} {d}", .{ end[2..], size });
    try writer.flush();
}

fn fails() !void {
    return wrun.fail("line {d}: not a number", .{3});
}

fn runsOut() !void {
    _ = try wrun.allocator.alloc(u8, 1 << 31);
}

fn panics() !void {
    const arg = try wrun.arg(wrun.allocator);
    if (arg.len < 5) @panic("a short argument");
}

fn nothing() void {}
