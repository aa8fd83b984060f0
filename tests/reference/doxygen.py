# SPDX-License-Identifier: MIT
"""Doxygen makes the reference (docs/Doxyfile) and finds no public name without a comment, nor anything else to warn of.

Other versions find differently, so without the pinned one the test is skipped (exit code 77). With --output the
reference stays in that folder: this is what `ninja reference` does, with any version.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PINNED = "1.9"
SKIPPED = 77
READ = ["include/pinref", "docs", "README.md", "CONTRIBUTING.md", "tests/lint"]
PROBLEM = re.compile(r"\b(?:warning|error): ")


def make(doxygen, project, folder, scratch):
    """What Doxygen has to say. It reads a copy, because it finds no page in a folder whose name has a space."""
    root = scratch / "pinref"
    for name in READ:
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy(project / name, root / name)
    settings = f"{(root / 'docs' / 'Doxyfile').read_text()}\nOUTPUT_DIRECTORY = \"{folder}\"\n"
    done = subprocess.run([doxygen, "-"], input=settings, cwd=root, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    found = sorted({line.removeprefix(f"{root}/") for line in done.stdout.splitlines() if PROBLEM.search(line)})
    if done.returncode != 0 and not found:
        found.append(done.stdout)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    root = options.root.resolve()
    doxygen = shutil.which("doxygen")
    version = subprocess.run([doxygen, "--version"], text=True, capture_output=True).stdout if doxygen else ""
    if not doxygen or not options.output and not version.startswith(f"{PINNED}."):
        print(f"skipped: no doxygen {PINNED}")
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="pinref-reference-") as folder:
        if options.output:
            options.output.mkdir(parents=True, exist_ok=True)
        scratch = Path(folder).resolve()
        found = make(doxygen, root, options.output.resolve() if options.output else scratch / "made", scratch)
    print("\n".join(found))
    if options.output:
        print(f"{options.output}/html/index.html")
    print(f"{0 if found else 1} passed, {len(found)} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
