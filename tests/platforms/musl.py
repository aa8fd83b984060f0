# SPDX-License-Identifier: MIT
"""The C interface with musl: its tests, linked by musl-gcc to shared and to static programs. The object is made by the
C++ compiler of this machine: it needs nothing of the C library but functions.
"""

import platform_test

PROGRAMS = {
    "word": [],
    "word of 32 bits": ["-DPINREF_WORD_BITS=32"],
    "shared word": ["-DPINREF_PROCESS_SHARED=1"],
    "word out of line": ["-DPINREF_NO_INLINE=1"],
    "pages": [],
    "cache": [],
}


def check(steps):
    include = steps.root / "c/include"
    steps.succeeds("the object", "g++", "-std=c++20", "-O2", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror",
                   f"-I{steps.root / 'include'}", f"-I{include}", "-c", steps.root / "c/pinref.cpp", "-o", "pinref.o")
    for linking in ("-static", "-O1"):
        for name, kind in PROGRAMS.items():
            what = f"{name}, {'static' if linking == '-static' else 'shared'}"
            source = steps.root / "tests/c" / f"{name.split()[-1] if 'shared' in name else name.split()[0]}.c"
            steps.succeeds(f"{what}: build", "musl-gcc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror",
                           "-D_GNU_SOURCE", "-O2", linking, *kind, f"-I{include}", source, "pinref.o", "-o", "program")
            output = steps.succeeds(f"{what}: run", steps.folder / "program")
            steps.judge(f"{what}: every case", " passed, 0 failed" in output, output)


if __name__ == "__main__":
    platform_test.main(__doc__, ["musl-gcc", "g++"], check)
