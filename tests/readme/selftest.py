# SPDX-License-Identifier: MIT
"""The checks of fragments and pages pass what is right and report each mistake."""

import argparse
import sys
import tempfile
from pathlib import Path

import pages
import fragments
import headers

HEADER = """\
/// \\file
/// An example with an empty line, and text after it.
///
/// Example:
///
///     int held = 0;
///
///     held += 1;
///
/// Source: none.
"""
EXAMPLE = "int held = 0;\n\nheld += 1;"

# A fragment, and what must be said of it; nothing for a good one. All good ones are one program.
FRAGMENTS = [
    ("struct local {\n  int x = 0;\n};\nlocal one;\none.x = 1;", ""),
    ("template <class T>\nT twice(T x) { return x + x; }\nif (twice(2) != 4) give_up(\"no\");\nelse\n  reuse();", ""),
    ("#ifdef LOUD\nusing word = int;\n#else\nusing word = long;\n#endif\nword last = 0;\n(void)last;", ""),
    ("#include <cmath>\nif (std::floor(1.5) != 1) return give_up(\"no\");", ""),
    ("struct own {\n  pinref::page_ref<> word;\n};\ntemplate <>\nstruct pinref::page_traits<own> {\n"
     "  static auto& ref(own& page) noexcept { return page.word; }\n};\nstatic_assert(pinref::host_page<own>);", ""),
    ("ref.try_pin();", "ignoring return value|warn_unused_result|nodiscard"),
    ("start_everything();", "start_everything"),
    ("(void)ref.try_pin();", "a page is held when the example ends"),
    ("throw 1;", "exits with"),
]
PAGES = [
    ("<!-- prelude: own -->\n```cpp\nreuse();\n```\n", ""),
    ("<!-- example -->\n```cpp\nint main() {}\n```\n", ""),
    ("```text\nno code\n```\n", None),
    ("<!-- excerpt: made.hpp -->\n```cpp\nint a;\n...\nint c; // last\n```\n", ""),
    ("<!-- excerpt: made.hpp -->\n```cpp\nint a;\nint c;\n```\n", "has other lines"),
    ("<!-- excerpt: lost.hpp -->\n```cpp\nint a;\n```\n", "has other lines"),
    ("```cpp\nint main() {}\n```\n", "no marker"),
    ("<!-- prelude: lost -->\n```cpp\nreuse();\n```\n", "no prelude lost"),
    ("<!-- example -->\n```cpp\nint main() { return 1; }\n```\n", "exits with 1"),
    ("<!-- example -->\n```cpp\nint main() {}\n```\n\n<!-- output -->\n```text\nhello\n```\n", "instead of"),
]


def says(wrong, wanted):
    return any(each in wrong for each in wanted.split("|")) if wanted else not wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    passed = failed = 0

    def judge(good, what, wrong):
        nonlocal passed, failed
        passed, failed = (passed + 1, failed) if good else (passed, failed + 1)
        if not good:
            print(f"{what}: {wrong or 'not reported'}")

    good = [code for code, wanted in FRAGMENTS if not wanted]
    for codes, wanted in [(good, "")] + [([code], wanted) for code, wanted in FRAGMENTS if wanted]:
        made = [fragments.Fragment(f"fragment {i}", "made.hpp", 1, code, "word") for i, code in enumerate(codes)]
        for name, _, wrong in fragments.check(options.command, options.root, made):
            judge(says(wrong, wanted), f"{name} of {codes}", wrong)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "base").mkdir()
        header = root / "base" / "some.hpp"
        header.write_text(HEADER)
        found = headers.example_of(header, root / "base")
        judge(found.code == EXAMPLE and found.line == 6, "the example of a header", found.code)
        page = root / "page.md"
        (root / "made.hpp").write_text("int a;\nint b;\n\nint  c;\n")
        for text, wanted in PAGES:
            page.write_text(text)
            cases = list(pages.check_page(root, page))
            wrong = cases[0][1] if cases else None
            if callable(wrong):
                wrong = wrong(options.command, options.root)
            judge(wrong is None if wanted is None else wrong is not None and says(wrong, wanted), text, wrong)

    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
