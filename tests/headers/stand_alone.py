# SPDX-License-Identifier: MIT
"""Every public header stands alone, may be included twice, and is clean under strict warnings.

Modes: `default` and `no-exceptions` compile each header by itself, included twice; `two-units` links two
translation units that both include pinref.hpp, which shows anything that is not inline. The headers of the explorer,
which needs exceptions, are public too.

The arguments after `--` are the compiler command. The last line reads `N passed, N failed`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
NO_RUNTIME = ["-fno-exceptions", "-fno-rtti"]


def compile_text(command, includes, text, *arguments):
    return subprocess.run(
        [*command, "-std=c++20", *(f"-I{include}" for include in includes), *WARNINGS, *arguments, "-x", "c++", "-"],
        input=text, text=True, capture_output=True)


def check_alone(command, includes, extra):
    """Yields (header, diagnostics); no diagnostics is a pass."""
    headers = sorted(path.relative_to(include).as_posix() for include in includes for path in include.rglob("*.hpp"))

    def check(header):
        line = f"#include <{header}>\n"
        result = compile_text(command, includes, line + line, *extra, "-fsyntax-only")
        return header, "" if result.returncode == 0 else result.stderr or "failed without a word"

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        yield from pool.map(check, headers)


def check_two_units(command, includes, headers):
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for name, body in (("first", "int second();\nint main() { return second(); }\n"),
                           ("second", "int second();\nint second() { return 0; }\n")):
            objects.append(str(Path(folder, name + ".o")))
            result = compile_text(command, includes, "".join(f"#include <{each}>\n" for each in headers) + body,
                                  "-c", "-o", objects[-1])
            if result.returncode != 0:
                yield f"{', '.join(headers)} in the {name} unit", result.stderr
                return
        result = subprocess.run([*command, *objects, "-o", Path(folder, "program")],
                                text=True, capture_output=True)
        yield f"{', '.join(headers)} in two units", "" if result.returncode == 0 else result.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--mode", choices=["default", "no-exceptions", "two-units"], required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    library, explorer = options.root / "include", options.root / "explorer" / "include"
    if options.mode == "two-units":
        results = check_two_units(options.command, [library, explorer],
                                  ["pinref/pinref.hpp", "pinref/explorer/explored_sync.hpp",
                                   "pinref/explorer/hooked_sync.hpp"])
    elif options.mode == "no-exceptions":
        results = check_alone(options.command, [library], NO_RUNTIME)
    else:
        results = check_alone(options.command, [library, explorer], [])
    passed = failed = 0
    for what, diagnostics in results:
        if diagnostics:
            failed += 1
            print(f"{what}:\n{diagnostics}")
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
