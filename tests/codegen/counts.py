# SPDX-License-Identifier: MIT
"""The instructions of every fast path stay as many as docs/codegen.md records, and every one is listed there.

Counted is what a call executes that succeeds at once: the shortest way to `ret` that changes the word, or, of a
function that never does, the shortest way. An exclusive pair of aarch64 counts as tried once, and the call of an outline
atomic as one instruction.

    counts.py --root . tests/codegen/counts.cpp -- x86-64 g++    compares a column; skips other versions of the compiler
    counts.py --root . tests/codegen/counts.cpp --table          prints the table, from the compilers installed here

The last line reads `N passed, N failed`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from disassembly import disassemble, is_arm, missing, shortest_path

SKIP = 77
LSE = ["-march=armv8-a+lse"]
OUTLINE = ["-march=armv8-a", "-moutline-atomics"]
PAIRS = ["-march=armv8-a", "-mno-outline-atomics"]
ARM_CLANG = ["clang++", "--target=aarch64-linux-gnu"]
TARGETS = {
    "x86-64": {"g++": ["g++"], "clang++": ["clang++"]},
    "aarch64 LSE": {"g++": ["aarch64-linux-gnu-g++", *LSE], "clang++": [*ARM_CLANG, *LSE]},
    "aarch64 outline": {"g++": ["aarch64-linux-gnu-g++", *OUTLINE], "clang++": [*ARM_CLANG, *OUTLINE]},
    "aarch64 LL/SC": {"g++": ["aarch64-linux-gnu-g++", *PAIRS], "clang++": [*ARM_CLANG, *PAIRS]},
}


def heading(target, command):
    """What a column is called: `x86-64 g++ 12`."""
    said = subprocess.run([*command, "--version"], text=True, capture_output=True, check=True).stdout
    name = "clang++" if "clang" in said else "g++"
    major = re.search(r"(\d+)\.\d+\.\d+", said).group(1)
    return f"{target} {name} {major}"


def counts(root, source, command):
    """{function: instructions}; None where there is no way to `ret`."""
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "code.o"))
        plain = ["-fno-asynchronous-unwind-tables", *([] if is_arm(command) else ["-fcf-protection=none"])]
        subprocess.run([*command, "-std=c++20", "-O2", *plain, f"-I{root / 'include'}",
                        "-c", source, "-o", program], check=True)
        functions = disassemble(program, command)
    found = {}
    for name, body in functions.items():
        if not name.startswith("_Z") and not name.endswith(".cold"):
            path = shortest_path(body)
            found[name] = len(path) if path else None
    return found


def table(root, source):
    columns = {}
    for target, compilers in TARGETS.items():
        for command in compilers.values():
            if lacking := missing(command):
                sys.exit(f"{lacking} is not installed")
            columns[heading(target, command)] = counts(root, source, command)
    lines = ["| call | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for name in sorted(next(iter(columns.values()))):
        lines.append(f"| {name} | " + " | ".join(str(found[name]) for found in columns.values()) + " |")
    return "\n".join(lines)


def recorded(root):
    """{heading: {function: instructions}} of docs/codegen.md."""
    rows = [[cell.strip() for cell in line.strip("| ").split("|")]
            for line in (root / "docs" / "codegen.md").read_text().splitlines() if line.startswith("|")]
    headings = rows[0][1:]
    return {name: {row[0]: int(row[column + 1]) for row in rows[2:]} for column, name in enumerate(headings)}


def compare(found, known):
    """Yields what differs."""
    for name in sorted(found.keys() | known.keys()):
        now, then = found.get(name), known.get(name)
        if now is None:
            yield f"{name}: no way to ret within the function, or no such function; docs/codegen.md has {then}"
        elif then is None:
            yield f"{name}: {now} instructions, not in docs/codegen.md"
        elif now > then:
            yield f"{name}: grew from {then} to {now} instructions"
        elif now < then:
            yield f"{name}: only {now} instructions, docs/codegen.md says {then}; --table prints it anew"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", nargs="?", choices=TARGETS)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args()
    if options.table:
        print(table(options.root, options.source))
        return 0

    if lacking := missing(options.command):
        print(f"{lacking} is not installed")
        return SKIP
    column = heading(options.target, options.command)
    known = recorded(options.root).get(column)
    if known is None:
        print(f"docs/codegen.md has no column {column}")
        return SKIP
    found = counts(options.root, options.source, options.command)
    findings = list(compare(found, known))
    for finding in findings:
        print(finding)
    print(f"{len(found) - len(findings)} passed, {len(findings)} failed")
    return 1 if findings or not found else 0


if __name__ == "__main__":
    sys.exit(main())
