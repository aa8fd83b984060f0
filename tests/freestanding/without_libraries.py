# SPDX-License-Identifier: MIT
"""The core compiles, links and runs without an operating system or a C library.

Two cases. core.cpp, freestanding, without exceptions and run-time types, linked against nothing, leaves no symbol open
and exits with 0 (x86-64; elsewhere it is only linked). And what the core includes is in every freestanding C++
implementation; the floors above it may also ask for the error numbers, and for spans, which implementations have in
their freestanding part though only C++26 asks them to.

The arguments after `--` are the compiler command. The last line reads `N passed, N failed`.
"""

import argparse
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = ["-std=c++20", "-O1", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector",
         "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
LINK = ["-nostdlib", "-static", "-Wl,--entry=start", "-Wl,--no-undefined"]
FREESTANDING = {"atomic", "bit", "concepts", "cstddef", "cstdint", "limits", "type_traits", "utility"}
CORE = {"sync", "word", "parts", "ref", "page"}
ABOVE_THE_CORE = {"cerrno", "iterator", "span"}
MARKER = re.compile(r'^# \d+ "([^"]*)"')
INCLUDE = re.compile(r"^#include\s*<([^>]+)>")


def targets_x86_64(command):
    return subprocess.run([*command, "-dumpmachine"], text=True, capture_output=True).stdout.startswith("x86_64")


def check_program(command, include, source):
    """Yields what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "core")
        built = subprocess.run([*command, *FLAGS, *LINK, f"-I{include}", source, "-o", program],
                               text=True, capture_output=True)
        if built.returncode != 0:
            yield built.stderr
        elif sys.platform == "linux" and platform.machine() == "x86_64" and targets_x86_64(command):
            status = subprocess.run([program]).returncode
            if status != 0:
                yield f"{source.name} exits with {status}: the line of the expectation that failed, or less a signal"


def check_includes(command, include, source):
    """Yields every include of the library, as the preprocessor met it, that a freestanding implementation may lack."""
    text = subprocess.run([*command, *FLAGS, f"-I{include}", "-E", "-dI", source],
                          text=True, capture_output=True, check=True).stdout
    floors = set()
    here = Path()
    for line in text.splitlines():
        if found := MARKER.match(line):
            here = Path(found.group(1))
        elif (found := INCLUDE.match(line)) and here.is_relative_to(include / "pinref"):
            floor = here.relative_to(include / "pinref").parts[0]
            floors.add(floor)
            allowed = FREESTANDING if floor in CORE else FREESTANDING | ABOVE_THE_CORE
            if found.group(1) not in allowed:
                yield f"{floor}/{here.name} includes <{found.group(1)}>"
    if not CORE | {"gup", "handles", "protocols"} <= floors:
        yield f"only {', '.join(sorted(floors))} were seen"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("source", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    include = options.root / "include"
    failed = 0
    for check in (check_program, check_includes):
        findings = list(check(options.command, include, options.source))
        failed += bool(findings)
        for finding in findings:
            print(finding)
    print(f"{2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
