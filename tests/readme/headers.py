# SPDX-License-Identifier: MIT
"""The example in the opening comment of every header compiles without a warning, runs, and leaves nothing held.

The examples of one floor are one program, with the prelude of that name (see fragments.py). The arguments after `--`
are the compiler command.
"""

import argparse
import sys
from pathlib import Path

import fragments
import tree

# The headers above all floors.
TOP = {"pinref.hpp": "ref", "fwd.hpp": "ref", "version.hpp": "ref"}


def example_of(path, base):
    """The indented code below `Example:`."""
    lines = path.read_text().split("\n")
    header = path.relative_to(base).as_posix()
    prelude = TOP.get(header, header.split("/")[0].removesuffix(".hpp"))
    try:
        begin = lines.index("/// Example:") + 2
    except ValueError:
        return None
    end = begin
    while lines[end].startswith("///     ") or (lines[end] == "///" and lines[end + 1].startswith("///     ")):
        end += 1
    code = "\n".join(line.removeprefix("///").removeprefix("     ") for line in lines[begin:end])
    return fragments.Fragment(header, f"include/pinref/{header}", begin + 1, code, prelude)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    base = options.root / "include" / "pinref"
    passed = failed = 0
    found = []
    for path in tree.headers(options.root):
        example = example_of(path, base)
        if example is None or not example.code:
            failed += 1
            print(f"{path.relative_to(base)}: no example")
        else:
            found.append(example)
    for name, n, wrong in fragments.check(options.command, options.root, found,
                                          lambda fragment: [f"pinref/{fragment.name}"]):
        print(f"{name}: {wrong or f'{n} as said'}")
        passed, failed = (passed, failed + 1) if wrong else (passed + n, failed)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
