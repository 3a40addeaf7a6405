"""Formats the measurements: text for people, JSON for programs."""

import json

INTRODUCTION = """\
# Results

Written by `make bench-results`; `make bench-peers` prints the same for your machine. All numbers come from one run, and
[`results.json`](results.json) has all samples. The rows are defined in
[`benches/peers/driver/rows.py`](peers/driver/rows.py).

"""


def heading(about, rounds):
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['date']}, commit {about['commit']}\n"
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, Linux {about['kernel']}\n"
        f"{versions}\n"
        f"load at the start {about['load_at_start']:.2f}; "
        f"medians of {rounds} rounds of all rows in turn, with minimum and maximum\n"
    )


def samples(rows):
    """The rows in sections: medians and memory."""
    cells, section = [["", "median", "", "min - max", "memory MiB", "without files"]], None
    for row in rows:
        if row.section != section:
            section = row.section
            cells.append([f"{section}:", "", "", "", "", ""])
        low, high = number(min(row.samples)), number(max(row.samples))
        memory = ["", ""]
        if row.memories:
            memory = [number(row.median_memory("total")), number(row.median_memory("own"))]
        cells.append([f"  {row.name}", number(row.median()), row.unit, f"{low} - {high}", *memory])
    if not any(row.memories for row in rows):
        cells = [row[:4] for row in cells]
    return aligned(cells)


def table(rows):
    notes = [
        "Commands are timed from start to end. Of joblib, only the calls are timed, with warm workers.",
        "Files are read just before, so that all rows find them in the page cache; the cold file is dropped from it.",
        "Memory is the highest sample over the process tree, with shared pages counted once and the growth of /dev/shm and",
        "memory files added; the next column leaves out mapped files, whose pages belong to the page cache.",
    ]
    read = [remark["read_mib"] for row in rows for remark in row.remarks if "read_mib" in remark]
    if read:
        notes.append(f"Cold: each run read at least {number(min(read))} MiB from a disk.")
    for row in rows:
        failed = [remark for remark in row.remarks if "failed" in remark]
        errors = sorted({remark["error"] for remark in row.remarks if "error" in remark})
        if failed:
            notes.append(f"wrun's killed worker: at most {max(each['failed'] for each in failed)} of {failed[0]['tasks']} tasks failed.")
        if errors:
            notes.append(f"joblib's killed worker: the whole call fails ({', '.join(errors)}), and all its results are lost.")
    if not any(row.key == "first-wasmtime" for row in rows):
        notes.append("Not measured: `wasmtime run`, which is not installed (BENCH_WASMTIME=1 installs it).")
    return samples(rows) + "\n" + "\n".join(notes) + "\n"


def parts(times):
    if not times:
        return ""
    cells = [["", "median", ""]] + [[f"  {name}", nanoseconds(time), ""] for name, time in times.items()]
    return "\nThe parts, measured by criterion, with one worker or none:\n" + aligned(cells)


def nanoseconds(time):
    return f"{number(time)} ns" if time < 1000 else f"{time / 1000:,.2f} us"


def goals(verdicts):
    cells = [["goal", "limit", "measured", ""]]
    cells += [[each.goal, each.limit, each.measured, "met" if each.met else "MISSED"] for each in verdicts]
    missed = "".join(f"\nMissed: {each.goal}:\n  {each.remark}\n" for each in verdicts if not each.met)
    return aligned(cells) + missed


def document(about, rounds, text):
    return f"{INTRODUCTION}```text\n{heading(about, rounds)}\n{text}```\n"


def to_json(about, rows, times, verdicts):
    measured = [
        {"key": row.key, "section": row.section, "name": row.name, "unit": row.unit, "median": row.median(),
         "samples": row.samples, "memory_mib": row.memories, "remarks": row.remarks}
        for row in rows
    ]
    return json.dumps({"about": about, "rows": measured, "parts_ns": times, "goals": [each.as_dict() for each in verdicts]}, indent=1) + "\n"


def number(value):
    """Three significant digits, or all digits before the point, in groups."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def aligned(rows):
    """Columns of equal width: text columns (the first and the unit or last) left-aligned, numbers right-aligned."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    left = {0, 2} if len(widths) > 4 else {0, len(widths) - 1}
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"
