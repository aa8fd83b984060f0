# SPDX-License-Identifier: MIT
"""run.py accepts a bug that its test notices, and refuses each way in which an entry can be wrong.

The last line reads `N passed, N failed`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HEADER = "inline int twice(int n) {\n  // By an add.\n  return n + n;\n}\ninline int half(int n) { return n / 2; }\n"
MAIN = "#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest/doctest.h>\n"
TEST = '#include <doctest/doctest.h>\n#include "pinref/word/twice.hpp"\nTEST_CASE("it doubles") {{ {} }}\n'
TESTS = {
    "keen": TEST.format("CHECK(twice(3) == 6);"),
    "blind": TEST.format("CHECK(twice(2) == 4);"),
    "red": TEST.format("CHECK(twice(2) == 5);"),
    "stubborn": TEST.format("while (twice(3) != 6) {}"),
}

ENTRY = "bug it squares\nin word/twice.hpp\ntest unit/{}.cpp\n{}\n"
CHANGE = "- n) { return n + n;\n+ n) { return n * n;"
# What the entry is like: the entry, and what run.py says about it.
CASES = {
    "good": (ENTRY.format("keen", CHANGE), "it squares: it doubles"),
    "good, and does not end": (ENTRY.format("stubborn", CHANGE), "it squares: does not end"),
    "not noticed": (ENTRY.format("blind", CHANGE), "NOT NOTICED"),
    "red without it": (ENTRY.format("red", CHANGE), "red without the bug: it doubles"),
    "of other text": (ENTRY.format("keen", "- n - n\n+ n"), "is there 0 times"),
    "of text that is there twice": (ENTRY.format("keen", "- int n\n+ int m"), "is there 2 times"),
    "not C++": (ENTRY.format("keen", "- n + n;\n+ n +;"), "does not compile with the bug in"),
    "in no header": (ENTRY.format("keen", CHANGE).replace("twice.hpp", "thrice.hpp"), "no such header"),
    "no change": (ENTRY.format("keen", "  return n + n;"), "says not where, by whom, or what"),
    "there twice": (2 * ENTRY.format("keen", CHANGE), "is there 2 times"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        files = {"include/pinref/word/twice.hpp": HEADER, "tests/support/main.cpp": MAIN}
        files.update({f"tests/unit/{name}.cpp": text for name, text in TESTS.items()})
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        for name, (entry, wanted) in CASES.items():
            (root / "bugs.txt").write_text(entry)
            done = subprocess.run(
                [sys.executable, Path(__file__).with_name("run.py"), "--root", root, "--bugs", root / "bugs.txt"],
                capture_output=True, text=True)
            said = done.stdout + done.stderr
            if wanted in said and (done.returncode == 0) == name.startswith("good"):
                passed += 1
            else:
                failed += 1
                print(f"an entry that is {name}: wanted {wanted!r}:\n{said}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
