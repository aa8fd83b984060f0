"""The example programs of README.md and docs/*.md compile without a warning, run, and print what the page says.

A program is a fence with a marker right above it, and is whole: it has its includes and main. The optional output fence
follows it, with a marker of its own:

    <!-- example -->
    ```cpp
    ...
    ```

    <!-- output -->
    ```text
    ...
    ```

README.md must have at least one. Besides the library's headers a program may include those of the tests: the explorer's
page shows what it prints. The arguments after `--` are the compiler command.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = re.compile(
    r"^<!-- example -->\n```cpp\n(.*?)^```$"
    r"(?:\n*<!-- output -->\n```(?:text)?\n(.*?)^```$)?", re.M | re.S)
FLAGS = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
         "-pthread"]


def check(command, root, code, output):
    """What is wrong with one program; an empty string for nothing."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "example.cpp"), Path(folder, "example")
        source.write_text(code)
        built = subprocess.run([*command, *FLAGS, f"-I{root / 'include'}", f"-I{root / 'tests'}", source, "-o", program],
                               text=True, capture_output=True)
        if built.returncode != 0:
            return f"does not compile:\n{built.stderr}"
        ran = subprocess.run([program], text=True, capture_output=True, timeout=30)
        if ran.returncode != 0:
            return f"exits with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
        if output and ran.stdout != output:
            return f"prints:\n{ran.stdout}instead of:\n{output}"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    passed = failed = 0
    pages = [options.root / "README.md", *sorted((options.root / "docs").glob("*.md"))]
    for page in pages:
        name = page.relative_to(options.root)
        programs = PROGRAM.findall(page.read_text()) if page.is_file() else []
        if page == pages[0] and not programs:
            failed += 1
            print(f"{name}: no example program")
        for number, (code, output) in enumerate(programs, 1):
            wrong = check(options.command, options.root, code, output)
            print(f"{name}: example {number}: {wrong or 'as it says'}")
            passed, failed = (passed, failed + 1) if wrong else (passed + 1, failed)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
