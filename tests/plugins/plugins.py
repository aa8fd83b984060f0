# SPDX-License-Identifier: MIT
"""Two copies of the library in one process: plug-ins by both compilers, with default and hidden visibility.

Builds plugin.cpp twice in each of these ways, and the host of host.cpp, and lets the host load every pair with
RTLD_LOCAL. Then looks for mutable state of the process in an object that includes and uses everything: there is none
but what each thread of each copy has for itself.
"""

import argparse
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMPILERS = ["g++", "clang++"]
VISIBILITIES = ["default", "hidden"]
CLOSING_LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
# A symbol of objdump -t that is an object in a section that can be written, and its section.
SYMBOL = re.compile(r"^[0-9a-f]+ (?P<flags>.{7}) (?P<section>\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(?P<name>.+)$", re.M)
WRITABLE = re.compile(r"^\.(data|bss|tdata|tbss)(?!\.rel\.ro)")
OURS = re.compile(r"^(guard variable for )?pinref::")


def compile_with(compiler, root, arguments):
    include = [f"-I{root}/include", f"-I{root}/tests", f"-I{root}/tests/support", f"-I{root}/tests/plugins"]
    command = [compiler, "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", *include, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(" ".join(command), done.stderr, sep="\n")
    return done.returncode == 0


def mutable_state(objdump_text):
    """The library's writable objects that are not a thread's own."""
    for symbol in SYMBOL.finditer(objdump_text):
        section = symbol["section"]
        thread_local = section.startswith((".tdata", ".tbss"))
        if "O" in symbol["flags"] and WRITABLE.match(section) and not thread_local and OURS.match(symbol["name"]):
            yield symbol["name"]


def check_state(compiler, root, folder):
    """Of an object file that calls the whole library, for a host that has all its names itself."""
    target = Path(folder, f"everything-{compiler}.o")
    source = root / "tests" / "unit" / "foreign_names.cpp"
    if not compile_with(compiler, root, ["-c", source, "-o", target]):
        return False
    listing = subprocess.run(["objdump", "-tC", target], capture_output=True, text=True, check=True).stdout
    found = sorted(set(mutable_state(listing)))
    for name in found:
        print(f"{compiler}: mutable state of the process: {name}")
    return not found


def selftest():
    listing = """\
0000000000000000  w    O .bss._ZN6pinref5stateE\t0000000000000008 pinref::state
0000000000000000 u     O .data._ZN6pinref6uniqueE\t0000000000000008 .hidden pinref::unique
0000000000000000 l     O .bss\t0000000000000008 guard variable for pinref::f()::once
0000000000000000  w    O .tbss._ZN6pinref4mineE\t0000000000000008 pinref::mine
0000000000000000  w    O .rodata._ZN6pinref3maxE\t0000000000000008 pinref::max
0000000000000000  w    O .bss._ZN4host5stateE\t0000000000000008 host::state
"""
    return list(mutable_state(listing)) == ["pinref::state", "pinref::unique", "guard variable for pinref::f()::once"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("host", type=Path)
    parser.add_argument("plugin", type=Path)
    options = parser.parse_args()
    root = options.root
    passed = failed = 0

    def count(holds, what):
        nonlocal passed, failed
        passed += holds
        failed += not holds
        if not holds:
            print(f"failed: {what}")

    count(selftest(), "the listing of a mutable object is read as one")
    compilers = [each for each in COMPILERS if shutil.which(each)]
    for missing in sorted(set(COMPILERS) - set(compilers)):
        print(f"skipped: plug-ins by {missing}: not installed")
    with tempfile.TemporaryDirectory() as folder:
        host = Path(folder, "host")
        if not compile_with(compilers[0], root, [options.host, "-o", host, "-ldl"]):
            print("0 passed, 1 failed")
            return 1
        plugins = {}
        for compiler, visibility in itertools.product(compilers, VISIBILITIES):
            pair = [Path(folder, f"{compiler}-{visibility}-{name}.so") for name in "ab"]
            built = compile_with(compiler, root, ["-shared", "-fPIC", f"-fvisibility={visibility}",
                                                  options.plugin, "-o", pair[0]])
            count(built, f"{compiler} {visibility}: building")
            if built:
                shutil.copy(pair[0], pair[1])
                plugins[f"{compiler} {visibility}"] = pair
        names = list(plugins)
        for first, second in [*zip(names, names), *itertools.combinations(names, 2)]:
            done = subprocess.run([host, plugins[first][0], plugins[second][1]], capture_output=True, text=True)
            lines = CLOSING_LINE.findall(done.stdout)
            for line in done.stdout.splitlines():
                if line.startswith(("failed", "skipped")):
                    print(f"{line} ({first} beside {second})")
            if lines:
                passed += int(lines[-1][0])
                failed += int(lines[-1][1])
            if not lines or (done.returncode != 0 and lines[-1][1] == "0"):
                count(False, f"{first} beside {second}: exit {done.returncode}")
        for compiler in compilers:
            count(check_state(compiler, root, folder), f"{compiler}: no header holds mutable state of the process")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
