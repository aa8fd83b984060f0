# SPDX-License-Identifier: MIT
"""Programs that must not compile, and must say why.

A case is a .cpp file beside this one:

    // first: text that the first error must contain
    #include <pinref/pinref.hpp>
    #if defined(PINREF_NOCOMPILE_CONTROL)
    ... the right way, which must compile ...
    #else
    ... the mistake, which must not ...
    #endif

The control keeps a case from passing for another reason than its own, say a missing include. `// expect: text` is for
what the compiler must say anywhere. A case may have several such lines, all of which must be met; `// first(gcc):`,
`// expect(clang):` and so on are for one compiler.

The arguments after `--` are the compiler command. The last line reads `N passed, N failed`.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

EXPECT = re.compile(r"^// (expect|first)(?:\((gcc|clang)\))?: (.+?)\s*$", re.M)
ERROR = re.compile(r"^.*?:\d+:\d+: (?:fatal )?error: .*$", re.M)
VERSION = re.compile(r"\bv\d+_\d+::")


def compiler_name(command):
    version = subprocess.run([*command, "--version"], text=True, capture_output=True).stdout
    return "clang" if "clang" in version else "gcc"


def compiles(command, include, case, *arguments):
    result = subprocess.run(
        [*command, "-std=c++20", f"-I{include}", "-Wall", "-Wextra", *arguments, "-fsyntax-only",
         case],
        text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    return result.returncode == 0, result.stderr


def check(command, compiler, include, case):
    """What is wrong with a case; an empty string for a pass."""
    expected = [(where, text) for where, only_for, text in EXPECT.findall(case.read_text()) if only_for in ("", compiler)]
    if not expected:
        return "no `// first: text` or `// expect: text` line"
    good, output = compiles(command, include, case, "-Werror", "-DPINREF_NOCOMPILE_CONTROL")
    if not good:
        return f"the control does not compile:\n{output}"
    good, output = compiles(command, include, case)
    if good:
        return "it compiles"
    first = ERROR.search(output)
    said = {"expect": flat(output), "first": flat(first.group() if first else "")}
    missing = [f"{where}: {text}" for where, text in expected if flat(text) not in said[where]]
    return f"the output lacks {missing}:\n{output}" if missing else ""


def flat(text):
    """A long message may be broken into lines; and g++ names the inline namespace of the version."""
    return VERSION.sub("", " ".join(text.split()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--cases", type=Path, default=Path(__file__).parent)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    compiler = compiler_name(options.command)
    cases = sorted(options.cases.glob("*.cpp"))
    passed = failed = 0
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        wrongs = pool.map(
            lambda case: check(options.command, compiler, options.root / "include", case), cases)
        for case, wrong in zip(cases, wrongs):
            if wrong:
                failed += 1
                print(f"{case.name}: {wrong}")
            else:
                passed += 1
                print(f"{case.name}: refused as expected")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
