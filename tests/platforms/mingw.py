# SPDX-License-Identifier: MIT
"""Windows, as mingw makes programs for it and wine runs them: the unit tests that ask neither for mmap nor for waiters
that mark their word. Waits look at the word every 50 microseconds there, and hot pages stay exact.
"""

import platform_test

COMPILER = "x86_64-w64-mingw32-g++-posix"
SOURCES = [
    "word/bias_layout", "word/split_layout", "word/split_word", "word/zoned_word", "word/zones", "ref/page_ref",
    "sync/deadline", "sync/flags_only", "page/page", "parts/share_count",
    "parts/write_protect_seq",
]


def check(steps):
    root = steps.root
    includes = [f"-I{root / folder}" for folder in ("include", "explorer/include", "tests", "tests/support")]
    # Doctest is a header of this system, and nothing else of it may be found.
    (steps.folder / "doctest").symlink_to("/usr/include/doctest")
    flags = ["-std=c++20", "-O1", "-Wall", "-Wextra", *includes, f"-I{steps.folder}"]
    objects = []
    for source in [root / "tests/support/main.cpp", *(root / "tests/unit" / f"{name}.cpp" for name in SOURCES)]:
        objects.append(f"{len(objects)}.o")
        steps.succeeds(f"{source.relative_to(root)}", COMPILER, *flags, "-c", source, "-o", objects[-1])
    steps.succeeds("link", COMPILER, *objects, "-static", "-o", "unit.exe")
    output = steps.succeeds("run in wine", "wine", steps.folder / "unit.exe", "--no-version", WINEDEBUG="-all",
                            WINEPREFIX=str(steps.folder / "wine"))
    steps.judge("every case", "| 0 failed |" in output, output)
    print("\n".join(line for line in output.splitlines() if "[doctest]" in line))


if __name__ == "__main__":
    platform_test.main(__doc__, [COMPILER, "wine"], check)
