# SPDX-License-Identifier: MIT
"""clang-format and clang-tidy find nothing, in the versions that .clang-format and .clang-tidy are written for.

Another version lays out and finds differently, so without the pinned one the test is skipped (exit code 77).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tree

PINNED = "14"
SKIPPED = 77


def pinned(tool):
    for name in (f"{tool}-{PINNED}", tool):
        path = shutil.which(name)
        if path and re.search(rf"version {PINNED}\.", subprocess.run([path, "--version"], capture_output=True,
                                                                    text=True).stdout):
            return path
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("tool", choices=("clang-format", "clang-tidy"))
    options = parser.parse_args()
    root = options.root.resolve()
    tool = pinned(options.tool)
    if not tool:
        print(f"skipped: no {options.tool} {PINNED}")
        return SKIPPED
    if options.tool == "clang-format":
        found = format_findings(root, tool)
    else:
        found = tidy_findings(root, tool)
    print("\n".join(found))
    print(f"{0 if found else 1} passed, {len(found)} failed")
    return 1 if found else 0


def format_findings(root, tool):
    found = []
    for path in tree.files(root, ".hpp", ".cpp", ".h"):
        if "corpus" in path.parts:
            continue
        laid_out = subprocess.run([tool, path], capture_output=True, text=True, cwd=root).stdout
        if laid_out != path.read_text():
            found.append(f"{path.relative_to(root)}: not as clang-format lays it out")
    return found


def tidy_findings(root, tool):
    """Headers are judged where one program includes all of them."""
    with tempfile.TemporaryDirectory(prefix="pinref-tidy-") as folder:
        program = Path(folder, "all.cpp")
        program.write_text("".join(f"#include <{path.relative_to(root / 'include').as_posix()}>\n"
                                   for path in tree.headers(root)))
        run = subprocess.run([tool, "--quiet", f"--config-file={root / '.clang-tidy'}", program, "--", "-std=c++20",
                              f"-I{root / 'include'}"], capture_output=True, text=True)
    return sorted({line.removeprefix(f"{root}/") for line in run.stdout.splitlines()
                   if ": warning: " in line or ": error: " in line})


if __name__ == "__main__":
    sys.exit(main())
