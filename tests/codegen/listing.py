# SPDX-License-Identifier: MIT
"""The instructions of aarch64 that docs/codegen.md shows are those that the C interface is compiled to.

    listing.py --root . tests/codegen/c_path.c            compares; skips another version of the compiler
    listing.py --root . tests/codegen/c_path.c --print    prints what stands between the marks there

The last line reads `N passed, N failed`.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from budgets import compiled
from counts import LSE, OUTLINE, PAIRS
from disassembly import disassemble, missing, shortest_path

SKIP = 77
COMPILER = "aarch64-linux-gnu-g++"
COLUMNS = {"LSE": LSE, "outline atomics": OUTLINE, "LL/SC": PAIRS}
FUNCTIONS = ["try_pin", "unpin", "dma_pinned"]
HELPER = "__aarch64_ldadd8_acq"
MARKED = re.compile(r"<!-- instructions -->\n(.*?)<!-- /instructions -->\n", re.S)
WIDTHS = [33, 33, 33]


def shown(path):
    """One text for each instruction; a branch says what it is for."""
    after = {each.address for each in path}
    for each in path:
        name = each.name
        operands = re.sub(r"\b0 <(\S+)>", r"\1", each.operands)
        if name.startswith("__"):
            name, operands = "bl", name
        if each.is_branch:
            register = operands.rpartition(", ")[0]
            where = "again" if each.target in after and each.target < each.address else "slow"
            operands = f"{register}, {where}" if register else where
        yield f"{name:<7} {operands}".rstrip()


def side_by_side(titles, columns):
    yield "".join(f"{title:<{width}}" for title, width in zip(titles, WIDTHS)).rstrip()
    for i in range(max(map(len, columns))):
        row = "".join(f"{column[i] if i < len(column) else '':<{width}}" for column, width in zip(columns, WIDTHS))
        yield row.rstrip()


def version():
    said = subprocess.run([COMPILER, "-dumpfullversion"], text=True, capture_output=True, check=True).stdout
    return said.split(".")[0]


def listing(root, source):
    found = {title: compiled(root, [COMPILER, *flags], "-O2", source) for title, flags in COLUMNS.items()}
    library = subprocess.run([COMPILER, "-print-libgcc-file-name"], text=True, capture_output=True, check=True).stdout
    lines = ["```text"]
    for name in FUNCTIONS:
        paths = [list(shown(shortest_path(functions[f"check_c_{name}"]))) for functions in found.values()]
        lines += [f"pinref_{name}, gcc {version()} -O2", *side_by_side(found, paths), ""]
    body = disassemble(library.strip(), [COMPILER])[HELPER]
    last = max(i for i, each in enumerate(body) if each.is_return)
    lines += [f"{HELPER}, of the compiler's library", *shown(body[:last + 1]), "```"]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--print", action="store_true")
    parser.add_argument("source", type=Path)
    options = parser.parse_args()
    if lacking := missing([COMPILER]):
        print(f"{lacking} is not installed")
        return SKIP
    if options.print:
        print(listing(options.root, options.source), end="")
        return 0

    recorded = MARKED.search((options.root / "docs" / "codegen.md").read_text())
    if recorded and f", gcc {version()} " not in recorded.group(1):
        print(f"docs/codegen.md shows another gcc than {version()}")
        return SKIP
    now = listing(options.root, options.source)
    good = recorded is not None and recorded.group(1) == now
    if not good:
        print(f"docs/codegen.md shows something else; --print prints it anew:\n{now}")
    print("1 passed, 0 failed" if good else "0 passed, 1 failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
