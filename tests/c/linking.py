# SPDX-License-Identifier: MIT
"""The C interface asks of its user's program what it says: a C compiler, a C library, and one object.

- The headers compile without a warning as C11 and C17, -pedantic, and as C++11 to C++20, alone and in any order, for
  every kind of word.
- Its constants are those of the layouts in C++.
- c/pinref.cpp compiles without exceptions and run-time types, and what the object leaves open is the C library's: no
  operator new, nothing of libstdc++, no guard, no unwinder. So it is with position-independent code and at -O0.
- It defines every function that the headers declare, and nothing outside that a program in C could collide with.
- A program in C is linked with it by the C compiler, and by `ld` from the start-up files, the C library and libgcc alone;
  it runs, and needs no shared object but libc.
- The programs of docs/c.md compile, link and run.
- A header of another version of the library is found out.

The arguments after `--` are the C++ compiler; its C compiler is found by its name. The last line reads
`N passed, N failed`.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"]
ONLY_C = {"-Wstrict-prototypes", "-Wmissing-prototypes"}
HEADERS = ["pinref.h", "pinref_pages.h", "pinref_cache.h"]
KINDS = [[], ["-DPINREF_WORD_BITS=32"], ["-DPINREF_PROCESS_SHARED=1"],
         ["-DPINREF_WORD_BITS=32", "-DPINREF_PROCESS_SHARED=1"], ["-DPINREF_NO_INLINE=1"]]
LANGUAGES = [("c", "c11"), ("c", "c17"), ("c++", "c++11"), ("c++", "c++20")]
# What the object may leave open: of the C library, and what compilers call by themselves.
OPEN = {"syscall", "clock_gettime", "nanosleep", "__errno_location", "memcpy", "memset", "memmove", "memcmp",
        "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}
DECLARED = re.compile(r"^(?:PINREF_FUNCTION )?[a-z]\w+(?: const)?[\w* ]* \**(pinref_\w+)\((?!\*)", re.M)


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def judge(self, what, good, details=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}\n{details}")


def run(command, **options):
    return subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)


def check_headers(checks, c, cxx, include, constants, folder):
    for language, standard in LANGUAGES:
        command = c if language == "c" else cxx
        warnings = [each for each in WARNINGS if language == "c" or each not in ONLY_C]
        for kind in KINDS:
            headers = HEADERS if kind in ([], KINDS[-1]) else HEADERS[:1]
            for order in (headers, headers[::-1]):
                source = Path(folder, "headers.c")
                source.write_text("".join(f"#include <{each}>\n" for each in order) + "int main(void) { return 0; }\n")
                done = run([*command, "-x", language, f"-std={standard}", *warnings, *kind, "-O1", f"-I{include}",
                            "-fsyntax-only", source])
                checks.judge(f"{' '.join(order)} as {standard} {' '.join(kind)}", done.returncode == 0, done.stdout)
    for kind in KINDS[:-1]:
        done = run([*cxx, "-std=c++20", *kind, f"-I{include}", f"-I{include.parents[1] / 'include'}", "-fsyntax-only",
                    constants])
        checks.judge(f"the constants of {' '.join(kind) or 'the word'}", done.returncode == 0, done.stdout)
    for wrong, said in ((["-DPINREF_WORD_BITS=16"], "64 or 32"),
                        (["-DPINREF_NO_INLINE=1", "-DPINREF_WORD_BITS=32"], "not inline")):
        source = Path(folder, "headers.c")
        source.write_text("#include <pinref.h>\n")
        done = run([*c, *wrong, f"-I{include}", "-fsyntax-only", source])
        checks.judge(f"{' '.join(wrong)} is refused", done.returncode != 0 and said in done.stdout, done.stdout)


def symbols(program, *options):
    text = run(["nm", "-P", *options, program]).stdout
    return {line.split()[0]: line.split()[1] for line in text.splitlines()}


def check_object(checks, cxx, root, folder):
    declared = set()
    for header in HEADERS:
        declared |= {name for name in DECLARED.findall((root / "c/include" / header).read_text())
                     if not name.startswith("pinref_slow")}
    checks.judge("the headers declare functions", len(declared) > 50, declared)
    for flags in (["-O2", "-fPIC"], ["-O0"], ["-Os", "-fPIE", "-fstack-protector-strong"]):
        program = Path(folder, "pinref.o")
        done = run([*cxx, "-std=c++20", *flags, "-fno-exceptions", "-fno-rtti", f"-I{root / 'include'}",
                    f"-I{root / 'c/include'}", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
                    "-c", root / "c/pinref.cpp", "-o", program])
        what = f"c/pinref.cpp with {' '.join(flags)}"
        checks.judge(what, done.returncode == 0, done.stdout)
        left = set(symbols(program, "-u")) - OPEN
        checks.judge(f"{what}: leaves nothing open but the C library", done.returncode == 0 and not left, left)
        defined = symbols(program, "--defined-only", "-g")
        missing = declared - set(defined)
        checks.judge(f"{what}: defines what is declared", not missing, missing)
        stray = {name for name, kind in defined.items() if kind in "TDBR" and not name.startswith("pinref_")}
        checks.judge(f"{what}: defines nothing else by a name of C", not stray, stray)
        writable = {name for name, kind in symbols(program, "--defined-only").items() if kind in "DdBb"}
        checks.judge(f"{what}: has no state of its own", not writable, writable)


def check_links(checks, c, cxx, root, folder):
    include = root / "c/include"
    library, user = Path(folder, "pinref.o"), Path(folder, "user.o")
    run([*cxx, "-std=c++20", "-O2", "-fno-exceptions", "-fno-rtti", f"-I{root / 'include'}", f"-I{include}",
         "-c", root / "c/pinref.cpp", "-o", library])
    done = run([*c, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{include}", "-O2",
                "-c", root / "tests/c/link.c", "-o", user])
    checks.judge("a program in C compiles", done.returncode == 0, done.stdout)

    # Without a C++ compiler in reach, and without its library.
    program = Path(folder, "by-compiler")
    done = run([*c, user, library, "-nodefaultlibs", "-lc", "-o", program])
    checks.judge("the C compiler links it", done.returncode == 0, done.stdout)
    judge_program(checks, "linked by the C compiler", program)

    linker = shutil.which("ld")
    files = {name: run([*c, f"-print-file-name={name}"]).stdout.strip()
             for name in ("crt1.o", "crti.o", "crtn.o", "libc.so", "libc.a")}
    if linker and all(Path(path).is_absolute() for path in files.values()):
        program = Path(folder, "by-ld")
        done = run([linker, "-static", "-o", program, files["crt1.o"], files["crti.o"], user, library, "--start-group",
                    files["libc.a"], run([*c, "-print-libgcc-file-name"]).stdout.strip(),
                    run([*c, "-print-file-name=libgcc_eh.a"]).stdout.strip(), "--end-group", files["crtn.o"]])
        checks.judge("ld links it with the C library", done.returncode == 0, done.stdout)
        checks.judge("linked by ld: it runs", run([program]).returncode == 0)
    else:
        print("skipped: no ld, or no static C library here")

    programs = re.findall(r"^<!-- example -->\n```c\n(.*?)^```", (root / "docs/c.md").read_text(), re.M | re.S)
    fences = re.findall(r"^```c$", (root / "docs/c.md").read_text(), re.M)
    checks.judge("docs/c.md has programs, and each is marked", programs and len(programs) == len(fences))
    for number, text in enumerate(programs, 1):
        source, program = Path(folder, "shown.c"), Path(folder, "shown")
        source.write_text(text)
        done = run([*c, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{include}", source, library, "-o",
                    program])
        checks.judge(f"docs/c.md, program {number}", done.returncode == 0 and run([program]).returncode == 0, done.stdout)

    # The stamp in the header is that of another version.
    text = (include / "pinref.h").read_text()
    other = re.sub(r"(#define PINREF_VERSION_MINOR) \d+", r"\1 999", text)
    Path(folder, "other").mkdir()
    Path(folder, "other/pinref.h").write_text(other)
    for header in HEADERS[1:]:
        shutil.copy(include / header, Path(folder, "other"))
    program = Path(folder, "of-another-version")
    done = run([*c, "-std=c11", f"-I{Path(folder, 'other')}", root / "tests/c/link.c", library, "-o", program])
    checks.judge("a header of another version is found out",
                 done.returncode == 0 and run([program]).returncode == 2, done.stdout)


def judge_program(checks, what, program):
    checks.judge(f"{what}: it runs", program.exists() and run([program]).returncode == 0)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "-d", program]).stdout)
    checks.judge(f"{what}: it needs libc alone", needed == ["libc.so.6"], needed)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("constants", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    root, cxx = options.root.resolve(), options.command
    # That of the same family and version: gcc-13 of g++-13.
    compiler = Path(cxx[0]).name.replace("clang++", "clang").replace("g++", "gcc").replace("c++", "cc")
    c = [compiler, *cxx[1:]]
    for program in (c[0], "nm", "readelf"):
        if not shutil.which(program):
            print(f"{program} is not installed")
            return SKIP
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="pinref-c-") as folder:
        check_headers(checks, c, cxx, root / "c/include", options.constants, folder)
        check_object(checks, cxx, root, folder)
        check_links(checks, c, cxx, root, folder)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())
