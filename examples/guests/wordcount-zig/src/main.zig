//! Counts words: `count` makes a table of one piece of text, `merge` combines several tables into one.
//!
//! A word is a maximal run of ASCII letters and digits. A table has a line `WORD COUNT` for each word, in the order of the words'
//! bytes. `merge` gives the same result for any grouping and order of its tables.

const std = @import("std");
const wrun = @import("wrun");

pub const panic = wrun.panic;

comptime {
    wrun.task("count", count);
    wrun.task("merge", merge);
}

/// Words and how often each occurs. The words are not copied: they are in the mapped inputs.
const Table = std.StringHashMapUnmanaged(u64);

fn count() !void {
    const text = try (try wrun.Input.get(0)).map();
    var table: Table = .empty;
    var at: usize = 0;
    while (at < text.len) {
        const start = at;
        while (at < text.len and std.ascii.isAlphanumeric(text[at])) at += 1;
        if (at > start) try add(&table, text[start..at], 1);
        at += 1;
    }
    try write(table);
}

fn merge() !void {
    var table: Table = .empty;
    for (0..wrun.Input.count()) |number| {
        const text = try (try wrun.Input.get(@intCast(number))).map();
        var lines = std.mem.splitScalar(u8, std.mem.trimEnd(u8, text, "\n"), '\n');
        var line: usize = 1;
        while (lines.next()) |row| : (line += 1) {
            if (row.len == 0 and text.len == 0) break;
            const word, const digits = std.mem.cutScalar(u8, row, ' ') orelse .{ row, "" };
            const times = std.fmt.parseUnsigned(u64, digits, 10) catch 0;
            if (!isWord(word) or times == 0) return wrun.fail("table {d}: line {d} is not `WORD COUNT`", .{ number, line });
            try add(&table, word, times);
        }
    }
    try write(table);
}

fn isWord(text: []const u8) bool {
    for (text) |char| if (!std.ascii.isAlphanumeric(char)) return false;
    return text.len > 0;
}

fn add(table: *Table, word: []const u8, times: u64) !void {
    const entry = try table.getOrPutValue(wrun.allocator, word, 0);
    entry.value_ptr.* += times;
}

/// Writes the table as text.
fn write(table: Table) !void {
    const words = try wrun.allocator.alloc([]const u8, table.count());
    defer wrun.allocator.free(words);
    var keys = table.keyIterator();
    for (words) |*word| word.* = keys.next().?.*;
    std.mem.sortUnstable([]const u8, words, {}, isLess);
    var buffer: [4096]u8 = undefined;
    var output = wrun.writer(&buffer);
    for (words) |word| try output.print("{s} {d}\n", .{ word, table.get(word).? });
    try output.flush();
}

fn isLess(_: void, a: []const u8, b: []const u8) bool {
    return std.mem.lessThan(u8, a, b);
}

fn expect(task: anytype, inputs: []const []const u8, result: []const u8) !void {
    wrun.host.reset();
    wrun.host.inputs = inputs;
    try task();
    try std.testing.expectEqualStrings(result, wrun.host.result.buffered());
}

test "words are runs of letters and digits" {
    try expect(count, &.{"the The, the; R2D2--x_y"}, "R2D2 1\nThe 1\nthe 2\nx 1\ny 1\n");
    try expect(count, &.{""}, "");
}

test "counts of a word are added" {
    try expect(merge, &.{ "a 1\nb 2\n", "b 3\n", "" }, "a 1\nb 5\n");
    wrun.host.inputs = &.{"a 1\nb\n"};
    try std.testing.expectError(error.TaskFailed, merge());
    try std.testing.expectEqualStrings("table 0: line 2 is not `WORD COUNT`", wrun.host.message);
}
