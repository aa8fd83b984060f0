# SPDX-License-Identifier: MIT
"""The C++ of README.md, docs/*.md and explorer/README.md compiles without a warning, runs, and prints what the page
says.

Every ```cpp fence has a marker right above it. A program is whole: it has its includes and main. The optional output
fence follows it, with a marker of its own:

    <!-- example -->
    ```cpp
    ...
    ```

    <!-- output -->
    ```text
    ...
    ```

A fragment uses names of a prelude, prelude/NAME.hpp, and is made a program (see fragments.py):

    <!-- prelude: NAME -->
    ```cpp
    ...
    ```

An excerpt is of a file that is compiled elsewhere. Blanks and comments may differ; `...` stands for what is left out:

    <!-- excerpt: PATH -->
    ```cpp
    ...
    ```

README.md must have at least one program. Besides the library's headers a program may include those of the explorer. The
arguments after `--` are the compiler command.
"""

import argparse
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fragments
import tree

FENCE = re.compile(
    r"^(?:<!-- (example|prelude: (\w+)|excerpt: (\S+)) -->\n)?```cpp\n(.*?)^```$"
    r"(?:\n*<!-- output -->\n```(?:text)?\n(.*?)^```$)?", re.M | re.S)
STRICT = ["-Wpedantic", "-Wconversion", "-Wshadow"]


def pages_of(root):
    return [root / "README.md", *sorted((root / "docs").glob("*.md")), root / "explorer" / "README.md"]


def is_excerpt(code, path):
    plain = [re.sub(r"//[^\n]*|\s+", "", text) for text in (code, path.read_text() if path.is_file() else "")]
    pieces = [re.escape(piece) for piece in plain[0].split("...")]
    return bool(re.search(".*?".join(pieces), plain[1], re.S))


def check_page(root, page):
    """(name, what is wrong) of each fence; that may be a function of compiler and root that finds out."""
    name = page.relative_to(root)
    text = page.read_text()
    found = list(FENCE.finditer(text))
    if name == Path("README.md") and not any(fence.group(1) == "example" for fence in found):
        yield f"{name}", "no example program"
    for fence in found:
        kind, prelude, path, code, output = fence.groups()
        line = tree.line_of(text, fence.start(4))
        where = f"{name}:{line}"
        if kind is None:
            yield where, "no marker <!-- example -->, <!-- prelude: NAME --> or <!-- excerpt: PATH --> above the fence"
        elif path is not None:
            yield where, "" if is_excerpt(code, root / path) else f"{path} has other lines"
        elif prelude is None:
            yield where, lambda command, at, code=code, output=output: fragments.build_and_run(
                command, at, code, STRICT, output)
        elif not (fragments.PRELUDES / f"{prelude}.hpp").is_file():
            yield where, f"there is no prelude {prelude}"
        else:
            piece = fragments.Fragment(where, str(name), line, code, prelude)
            yield where, lambda command, at, piece=piece: fragments.build_and_run(
                command, at, fragments.program([piece]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    cases = [case for page in pages_of(options.root) if page.is_file() for case in check_page(options.root, page)]
    failed = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = pool.map(
            lambda case: case[1] if isinstance(case[1], str) else case[1](options.command, options.root), cases)
        for (name, _), wrong in zip(cases, results):
            print(f"{name}: {wrong or 'as it says'}")
            failed += bool(wrong)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
