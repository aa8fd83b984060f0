# SPDX-License-Identifier: MIT
"""Each lint passes a small good tree and reports each mistake put into it."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

OPENING = """\
// SPDX-License-Identifier: MIT
#pragma once

/// \\file
/// {name}: a header of the self-test.
///
/// When not to use it: ever.
///
/// Example:
///
///     int x;
///
/// Errors: none.
/// Memory order: none.
/// Progress: wait-free.
/// Source: the self-test.

"""

WORKFLOW = ".github/workflows/ci.yml"

GOOD = {
    "meson.build": "# SPDX-License-Identifier: MIT\nproject('pinref', 'cpp',\n  version: '1.2.3',\n)\n",
    "CMakeLists.txt": "# SPDX-License-Identifier: MIT\nproject(pinref VERSION 1.2.3 LANGUAGES CXX)\n",
    "CHANGELOG.md": "# Changelog\n\n## 1.2.3\n\n- It begins.\n",
    "c/include/pinref.h": "// SPDX-License-Identifier: MIT\n#define PINREF_VERSION_MAJOR 1\n"
        "#define PINREF_VERSION_MINOR 2\n#define PINREF_VERSION_PATCH 3\n",
    "packaging/debian/changelog": "pinref (1.2.3-1) unstable; urgency=medium\n",
    "tests/meson.build": "# SPDX-License-Identifier: MIT\nsources = files(\n  'unit/a.cpp',\n  'unit/foreign_names.cpp',\n)\n",
    "tests/unit/a.cpp": "// SPDX-License-Identifier: MIT\n#include <linux/futex.h>\n// a unix comment\nint a = 0;\n",
    "docs/site/mkdocs.yml": "# SPDX-License-Identifier: MIT\nnav:\n  - Orders: docs/memory-model.md\n"
        "  - Changelog: CHANGELOG.md\n",
    "tools/run": "#!/bin/sh\n# SPDX-License-Identifier: MIT\n# Runs it.\n",
    "tools/test": "#!/bin/sh\n# SPDX-License-Identifier: MIT\nfor word; do case $word in --suite | --build) ;; -*) [ $word = --help ] || exit 2;; esac; done\n",
    "tools/lib/run_tests.py": """\
# SPDX-License-Identifier: MIT
from types import SimpleNamespace
PLAIN_SUITES, BUILD_SUITES = ["unit"], ["far"]
EVERY_SUITE = [*PLAIN_SUITES, *BUILD_SUITES]
Tally = list
def plan(suite, tally):
    return [SimpleNamespace(name=name) for name in ([f"far {n}" for n in ("one", "two")] if suite else ["gcc"])]
""",
    WORKFLOW: """\
# SPDX-License-Identifier: MIT
on: push
permissions:
  contents: read
concurrency:
  group: one
  cancel-in-progress: true
jobs:
  test:
    timeout-minutes: 60
    strategy:
      matrix:
        include:
          - leg: everyday
            catches: what everybody would have found
            run: tools/test --build gcc
          - leg: far
            catches: what is found far away from here
            run: |
              tools/test --suite far --build one   # and then
              sh -c 'tools/test --suite far --build "two"'
    steps:
      - uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v1
        with:
          persist-credentials: false
      - name: "Catches: ${{ matrix.catches }}"
        run: ${{ matrix.run }}
""",
    "tests/unit/foreign_names.cpp": "// SPDX-License-Identifier: MIT\nFOREIGN(head_of);\nFOREIGN(pins);\n",
    "include/pinref/version.hpp": OPENING.format(name="version.hpp") +
        "#define PINREF_VERSION_MAJOR 1\n#define PINREF_VERSION_MINOR 2\n"
        "#define PINREF_VERSION_PATCH 3\n",
    "include/pinref/word/zones.hpp": OPENING.format(name="zones") + "struct zones {};\n",
    "include/pinref/ref/word.hpp": OPENING.format(name="word") + """\
#include <atomic>
#include "pinref/word/zones.hpp"

class word {
 public:
  /// Reads it.
  [[nodiscard]] int load() const noexcept { return word_.load(std::memory_order_relaxed); }
  /// Writes it.
  void set(int to) noexcept {
    // (R1) pairs with (R2): what was written before it
    // is seen by who takes.
    word_.store(to, std::memory_order_release);
  }
  /// Exchanges it.
  [[nodiscard]] bool take(int old) noexcept {
    // (R2) pairs with (R1): the other side.
    return word_.compare_exchange_strong(old, 1, std::memory_order_acq_rel,
                                         std::memory_order_relaxed);
  }

 private:
  std::atomic<int> word_ = 0;
};
""",
    "include/pinref/page/leaf.hpp": OPENING.format(name="page") + """\
#include "pinref/ref/word.hpp"
#include "pinref/version.hpp"

struct [[nodiscard]] seen {
  int value = 0;  ///< what was read
};
struct page {
  /// Its word.
  word word_;
  seen look() const noexcept { return {word_.load()}; }
};

namespace pinref::inline v1_2 {
namespace detail {
template <class Page>
[[nodiscard]] Page& head_of(Page& page) noexcept;
}  // namespace detail

/// Its pins.
template <class Page>
[[nodiscard]] int pins(Page& page) noexcept {
  return detail::head_of(page).look();
}
}  // namespace pinref
""",
    "include/pinref/fwd.hpp": OPENING.format(name="fwd") +
        "namespace pinref::inline v1_2 {\n\n// page/\n// pins  \n// Each has a to_string.\n\n}\n",
    **{f"include/pinref/{floor}.hpp": OPENING.format(name=floor) + f'#include "pinref/{floor}/{header}.hpp"\n'
       for floor, header in (("word", "zones"), ("ref", "word"), ("page", "leaf"), ("host", "arena"))},
    "include/pinref/host/arena.hpp": OPENING.format(name="arena") + '#include "pinref/page/leaf.hpp"\n',
    "include/pinref/pinref.hpp": OPENING.format(name="pinref") + '#include "pinref/host.hpp"\n',
    "docs/memory-model.md": """\
| no. | where | order | pairs with | why |
|---|---|---|---|---|
| (R1) | ref/word.hpp set | release | (R2) | |
| (R2) | ref/word.hpp take | acq_rel, relaxed | (R1) | |
""",
}

WORD = "include/pinref/ref/word.hpp"
PAGE = "include/pinref/page/leaf.hpp"
TABLE = "docs/memory-model.md"

# lint, file, text to replace, replacement, what the lint must say
MISTAKES = [
    ("layering", WORD, "pinref/word/zones.hpp", "pinref/page/leaf.hpp", "ref may not include page"),
    ("layering", PAGE, "pinref/ref/word.hpp", "pinref/host/arena.hpp", "page may not include host"),
    ("layering", PAGE, "pinref/ref/word.hpp", "pinref/pinref.hpp", "pinref.hpp is for users"),
    ("layering", PAGE, "pinref/ref/word.hpp", "pinref/ref/lost.hpp", "no header pinref/ref/lost.hpp"),
    ("layering", PAGE, "pinref/ref/word.hpp", "../ref/word.hpp", "name headers of the library as"),
    ("layering", PAGE, '"pinref/ref/word.hpp"', "<vector>", "does not reach ref/word.hpp"),
    ("layering", PAGE, "pinref/ref/word.hpp", "pinref/page/leaf.hpp", "includes itself"),
    ("layering", "include/pinref/version.hpp", "#define PINREF_VERSION_MAJOR 1",
     '#include "pinref/word/zones.hpp"', "stands below every floor"),
    ("layering", PAGE, "pinref/ref/word.hpp", "pinref/ref.hpp", "ref.hpp is for users"),
    ("layering", "include/pinref/ref.hpp", "pinref/ref/word.hpp", "pinref/page.hpp", "ref may not include page"),
    ("layering", "include/pinref/page.hpp", '#include "pinref/page/leaf.hpp"', "", "page.hpp: does not include page/leaf.hpp"),
    ("forward", "include/pinref/fwd.hpp", "// pins", "//", "does not name pins"),
    ("forward", "include/pinref/fwd.hpp", "// pins", "// pins  lost", "lost is declared by no header"),
    ("forward", "include/pinref/fwd.hpp", "// pins", "struct lost;\n// pins", "lost is declared by no header"),
    ("forward", PAGE, "template <class Page>\n[[nodiscard]] int pins", "enum class kind { a };\ntemplate <class Page>\n"
     "[[nodiscard]] int pins", "does not name kind"),
    ("forward", PAGE, "template <class Page>\n[[nodiscard]] int pins", "template <class T>\nconcept good = true;\n"
     "template <class Page>\n[[nodiscard]] int pins", "does not name good"),
    ("forward", PAGE, "template <class Page>\n[[nodiscard]] int pins", "inline constexpr int most = 1;\n"
     "template <class Page>\n[[nodiscard]] int pins", "does not name most"),
    ("version", PAGE, "pinref::inline v1_2", "pinref::inline v1_1", "not in pinref::inline v1_2"),
    ("version", PAGE, "pinref::inline v1_2", "pinref", "not in pinref::inline v1_2"),
    ("atomics", WORD, "std::memory_order_release", "std::memory_order_seq_cst", "seq_cst"),
    ("atomics", WORD, "(to, std::memory_order_release)", "(to)", "store of word_ without"),
    ("atomics", WORD, "word_.store(to, std::memory_order_release)", "word_ = to", "an operator on"),
    ("atomics", WORD, "word_.store(to, std::memory_order_release)", "++word_", "an operator on"),
    ("atomics", WORD, "word_.store(to, std::memory_order_release)", "word_.wait(to)", "wait of word_"),
    ("atomics", WORD, "word_.store(to,", "std::atomic_thread_fence(", "atomic_thread_fence"),
    ("atomics", WORD, "word_.store(to,", "std::atomic_store_explicit(&word_, to,", "a free function"),
    ("atomics", WORD, "word_.store(to,", "std::atomic_store(&word_, to); (", "a free function"),
    ("memory_orders", WORD, "// (R2) pairs with (R1): the other side.", "", "without a numbered"),
    ("memory_orders", WORD, "// (R2) pairs", "// R2 pairs", "without a numbered"),
    ("memory_orders", WORD, "// (R2) pairs with (R1):", "// (R2) pairs with:", "is not followed by"),
    ("memory_orders", WORD, "// (R2) pairs with (R1): the other side.", "// (R2) pairs with (R1):\n",
     "is not followed by|without a numbered"),
    ("memory_orders", WORD, "(R2) pairs with (R1)", "(R1) pairs with (R1)", "also stands at"),
    ("memory_orders", WORD, "(R2) pairs with (R1)", "(R2) pairs with (R3)", "which does not exist"),
    ("memory_orders", WORD, "(R2) pairs with (R1)", "(R2) pairs with the host", "does not name it back"),
    ("memory_orders", WORD, "(R2) pairs with (R1)", "(R2) pairs with (R1) and the host",
     "should be \\(R1\\), the host"),
    ("memory_orders", WORD, "std::memory_order_acq_rel", "std::memory_order_release", "no release with"),
    ("memory_orders", WORD, "class word", "// (R9) pairs with (R1): nothing.\nclass word", "has no statement"),
    ("memory_orders", TABLE, "| (R2) | ref/word.hpp take | acq_rel, relaxed | (R1) | |\n", "", "no row for"),
    ("memory_orders", TABLE, "| (R2) |", "| (R2) | ref/word.hpp | acq_rel, relaxed | (R1) | |\n| (R3) |",
     "is in no header"),
    ("memory_orders", TABLE, "| release |", "| acquire |", "order should be release"),
    ("memory_orders", TABLE, "| (R2) | |\n", "| (R1) | |\n", "pairs with should be"),
    ("memory_orders", TABLE, "ref/word.hpp take", "page/leaf.hpp take", "not in page/leaf.hpp"),
    ("memory_orders", TABLE, "| no. |", "| number |", "no table with the heading"),
    ("version", "meson.build", "1.2.3", "1.2.4", "meson.build: 1.2.4"),
    ("version", "CMakeLists.txt", "1.2.3", "1.2", "CMakeLists.txt: 1.2,"),
    ("version", "CHANGELOG.md", "## 1.2.3", "## 1.3.0\n\n## 1.2.3", "CHANGELOG.md: 1.3.0"),
    ("version", "c/include/pinref.h", "PATCH 3", "PATCH 4", "PINREF_VERSION_PATCH is not 3"),
    ("version", "packaging/debian/changelog", "1.2.3", "1.2.2", "packaging/debian/changelog: 1.2.2"),
    ("version", "include/pinref/version.hpp", "PINREF_VERSION_PATCH 3", "PINREF_PATCH 3", "no PINREF_"),
    ("allocation", PAGE, "struct page {", "inline int* p = new int;\nstruct page {", "a new-expression"),
    ("allocation", PAGE, "struct page {", "inline void end(int* p) { delete p; }\nstruct page {", "a delete-expression"),
    ("allocation", PAGE, "struct page {", "inline void* p = malloc(1);\nstruct page {", "a call of malloc"),
    ("allocation", PAGE, "struct page {", "inline auto p = std::make_unique<int>();\nstruct page {", "a smart pointer"),
    ("allocation", PAGE, "struct page {", "#include <vector>\nstruct page {", "<vector>"),
    ("paths", "CHANGELOG.md", "It begins.", "See /" + "home/me/notes.", "a path of some machine"),
    ("paths", "CHANGELOG.md", "It begins.", "See /" + "work/notes.", "a path of some machine"),
    ("paths", "CHANGELOG.md", "It begins.", "See ../" + "shared.", "leaves the tree"),
    ("paths", TABLE, "| (R1) | |", "| (R1) | ../" + "../notes |", "leaves the tree"),
    ("identifiers", "tests/unit/a.cpp", "int a", "int linux", "linux is a macro"),
    ("identifiers", "tests/unit/a.cpp", "int a", "namespace unix { int a", "unix is a macro"),
    ("identifiers", PAGE, "struct page", "#define PAGE 1\nstruct page", "PAGE lacks PINREF_"),
    ("header_comments", PAGE, "/// When not to use it: ever.\n", "", "lacks a paragraph"),
    ("header_comments", PAGE, "///     int x;\n", "", "lacks a line `Example:`"),
    ("header_comments", PAGE, "/// page: a header of the self-test.\n", "", "lacks a first sentence"),
    ("header_comments", PAGE, "#pragma once\n", "", "does not begin with"),
    ("header_comments", PAGE, "struct page {", "\n" * 300 + "struct page {", "and no reason why"),
    ("header_comments", PAGE, "// SPDX-License-Identifier: MIT\n", "", "does not begin with"),
    ("licence", "tests/unit/a.cpp", "// SPDX-License-Identifier: MIT\n", "", "a.cpp: does not begin with `// SPDX"),
    ("licence", "tests/unit/a.cpp", "// SPDX-License-Identifier: MIT", "// SPDX-License-Identifier: X11", "a.cpp: does not"),
    ("licence", "tests/unit/a.cpp", "// SPDX", "\n// SPDX", "a.cpp: does not begin"),
    ("licence", "tests/meson.build", "# SPDX", "// SPDX", "tests/meson.build: does not begin with `# SPDX"),
    ("licence", "CMakeLists.txt", "# SPDX-License-Identifier: MIT\n", "", "CMakeLists.txt: does not begin"),
    ("licence", "tools/run", "# SPDX-License-Identifier: MIT\n", "", "tools/run: does not begin"),
    ("licence", PAGE, "// SPDX-License-Identifier: MIT\n", "", "leaf.hpp: does not begin"),
    ("qualified_calls", PAGE, "return detail::head_of(page)", "return head_of(page)", "head_of without its namespace"),
    ("qualified_calls", PAGE, "return detail::head_of(page)", "using detail::head_of; return head_of<Page>(page)",
     "head_of without its namespace"),
    ("qualified_calls", PAGE, "detail::head_of(page).look()", "!pins(page)", "pins without its namespace"),
    ("qualified_calls", PAGE, "detail::head_of(page).look()", "static_cast<int>(pins<Page>(page))",
     "pins without its namespace"),
    ("qualified_calls", PAGE, "seen look() const noexcept {", "seen look() const noexcept { (void)pins(*this);", "pins without its"),
    ("qualified_calls", PAGE, "}  // namespace pinref", "inline int more(int x) { return x; }\n}",
     "no FOREIGN\\(more\\)"),
    ("qualified_calls", PAGE, "}  // namespace pinref", "int more(int x);\n}", "no FOREIGN\\(more\\)"),
    ("qualified_calls", "tests/unit/foreign_names.cpp", "FOREIGN(pins);", "", "no FOREIGN\\(pins\\)"),
    ("qualified_calls", "tests/unit/foreign_names.cpp", "FOREIGN(pins)", "FOREIGN(pin)", "pin is no function"),
    ("promises", WORD, "set(int to) noexcept", "set(int to)", "word::set is not noexcept"),
    ("promises", WORD, "set(int to) noexcept", "set(int to) noexcept(false)", "word::set is not noexcept"),
    ("promises", WORD, "class word {", "void give();\nclass word {", "give is not noexcept"),
    ("promises", WORD, "class word {", "inline void give() { }\nclass word {", "give is not noexcept"),
    ("promises", WORD, "class word {", "class word {\n  word(int to) : word_{to} {}\n", "word::word is not noexcept"),
    ("promises", WORD, " private:", " private:\n  void hide() {}\n", "word::hide is not noexcept"),
    ("promises", WORD, "[[nodiscard]] bool take", "bool take", "word::take returns what may be ignored"),
    ("promises", WORD, "class word {", "class word {\n public:\n  explicit operator bool() const noexcept;\n",
     "word::operator bool returns"),
    ("promises", PAGE, "struct [[nodiscard]] seen", "struct seen", "page::look returns what may be ignored"),
    ("promises", PAGE, "struct page {", "template <class T>\nauto twice(const T& page) noexcept -> int;\nstruct page {",
     "twice returns"),
    ("promises", PAGE, "seen look() const noexcept {", "seen look() const noexcept { [[nodiscard]] int x;",
     "nodiscard, of which"),
    ("hosted", WORKFLOW, "on: push", "on: [push", "ci.yml: while parsing"),
    ("hosted", WORKFLOW, "  contents: read", "  contents: write", "permissions are not"),
    ("hosted", WORKFLOW, "    timeout-minutes: 60", "    permissions: write-all", "no timeout-minutes(.|\n)*are those of the file"),
    ("hosted", WORKFLOW, "cancel-in-progress: true", "cancel-in-progress: false", "no concurrency"),
    ("hosted", WORKFLOW, "@0123456789abcdef0123456789abcdef01234567", "@v4", "checkout@v4 is not pinned"),
    ("hosted", WORKFLOW, "persist-credentials: false", "fetch-depth: 1", "leaves the token"),
    ("hosted", WORKFLOW, "run: ${{ matrix.run }}", "run: tools/test", "no step of a leg"),
    ("hosted", WORKFLOW, "what everybody would have found", "things", "everyday: does not say what it catches"),
    ("hosted", WORKFLOW, "run: tools/test --build gcc", "run: make check", "everyday: runs no tool"),
    ("hosted", WORKFLOW, "run: tools/test --build gcc", "run: tools/tests", "no tools/tests"),
    ("hosted", WORKFLOW, "tools/test --build gcc", "tools/test --quick", "does not know --quick"),
    ("hosted", WORKFLOW, "tools/test --build gcc", "tools/test --build icc", "no build icc(.|\n)*no leg runs build gcc of the"),
    ("hosted", WORKFLOW, "--suite far --build one", "--suite fur --build one", "no suite fur"),
    ("hosted", WORKFLOW, "tools/test --suite far --build one", "tools/test", "no leg runs build one of suite far"),
    ("hosted", "tools/lib/run_tests.py", '["far"]', '["far", "wide"]', "no leg runs suite wide"),
    ("build_lists", "tests/meson.build", "unit/a.cpp", "unit/b.cpp", "unit/a.cpp: not in tests/meson.build"),
    ("reference", PAGE, "/// Its pins.\n", "", "pins has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "/// Its pins.\n\n", "pins has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "// Its pins.\n", "pins has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "template <class T>\nconcept good = true;\n/// Its pins.\n", "good has no"),
    ("reference", PAGE, "/// Its pins.\n", "struct open {};\n/// Its pins.\n", "open has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "/// Kinds.\nenum class kind { a, b };\n/// Its pins.\n", "kind::a has no"),
    ("reference", PAGE, "/// Its pins.\n", "enum class kind {\n  a,  ///< an a\n};\n/// Its pins.\n", "kind has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "/// Kinds.\n///\n///     a  an a\nenum class kind {\n  a,\n  b,\n};\n"
     "/// Its pins.\n", "kind::b has no"),
    ("reference", PAGE, "/// Its pins.\n", "/// Its pins.\n#define PINREF_PINS 1\n", "pins has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "#define PINREF_PINS 1\n/// Its pins.\n", "PINREF_PINS has no comment"),
    ("reference", PAGE, "/// Its pins.\n", "/// The members are those of lost.\nstruct open {\n  int x;\n};\n/// Its pins.\n",
     "of lost, which is not public"),
    ("reference", PAGE, "  /// Its word.\n", "", "word_ has no comment"),
    ("reference", PAGE, "  int value = 0;  ///< what was read", "  int value = 0;  // what was read", "value has no"),
    ("reference", PAGE, "  word word_;\n", "  word word_;\n\n  word other_;\n", "other_ has no comment"),
    ("reference", PAGE, "  word word_;\n", "  word word_, other_;\n", "other_ is not the only name"),
    ("reference", WORD, "  /// Writes it.\n", "", "set has no comment"),
    ("reference", WORD, "/// Errors: none.\n", "", "lacks a paragraph `Errors"),
    ("links", TABLE, "| (R1) | |", "| (R1) | [it](../include/pinref/lost.hpp) |", "lost.hpp is not there"),
    ("links", TABLE, "| (R1) | |", "| (R1) | ![it](lost.svg) |", "lost.svg is not there"),
    ("links", TABLE, "| (R1) | |", "| (R1) | [it](../../elsewhere.md) |", "elsewhere.md is not there"),
    ("links", TABLE, "| (R1) | |", "| (R1) | [it](../CHANGELOG.md#it-ends) |", "no such heading"),
    ("links", TABLE, "| (R1) | |", "| (R1) | [it](#orders) |", "no such heading"),
    ("links", "docs/site/mkdocs.yml", "  - Orders: docs/memory-model.md\n", "", "memory-model.md: is not in"),
    ("links", "docs/site/mkdocs.yml", "docs/memory-model.md", "docs/lost.md", "lost.md is not there"),
    ("reference", WORD, "/// Progress: wait-free.\n", "/// Progress is none.\n", "lacks a paragraph `Progress"),
    ("reference", WORD, "/// Errors: none.\n/// Memory order: none.\n", "/// Memory order: none.\n/// Errors: none.\n",
     "`Memory order: ...` too late"),
]

# Changes that no lint may report.
HARMLESS = [
    ("reference", PAGE, "/// Its pins.\n", "namespace detail {\nvoid part() noexcept;\n}\n/// Its pins.\n"),
    ("reference", PAGE, "/// Its pins.\n", "class later;\n/// Its pins.\n"),
    ("reference", PAGE, "/// Its pins.\n", "/// Kinds.\n///\n///     a  an a\nenum class kind { a };\n/// Its pins.\n"),
    ("reference", PAGE, "/// Its pins.\n", "/// The members are those of `pins`.\nstruct open {\n  int x;\n};\n/// Its pins.\n"),
    ("reference", PAGE, "/// Its pins.\n", "/// Its pins.\n#if 1\n#endif\n"),
    ("reference", PAGE, "  word word_;\n", "  word word_;\n  word other_;\n"),
    ("reference", PAGE, "  word word_;\n", "  word word_;\n  std::pair<int, int> other_ = {1, 2};\n"),
    ("reference", PAGE, "  return detail::head_of(page).look();\n}\n", "  return detail::head_of(page).look();\n}\n"
     "template <class Page>\n[[nodiscard]] int pins(Page* page) noexcept {\n  return 0;\n}\n"),
    ("reference", WORD, " private:", "  word(const word&) = delete;\n  ~word() {}\n private:\n  void hide() {}\n"),
    ("reference", WORD, "/// Progress: wait-free.\n", "///\n/// Progress: wait-free, or so, which\n/// takes two lines.\n"),
    ("atomics", PAGE, "word_.load()", "word_.load(/* a note */)"),
    ("layering", PAGE, "struct page", '// #include "pinref/host/arena.hpp"\nstruct page'),
    ("memory_orders", WORD, "word_.store(to, std::memory_order_release)",
     "word_.store(to,\n                std::memory_order_release)"),
    ("memory_orders", WORD, "the other side.", "the other\n    // side, of (R1)."),
    ("paths", TABLE, "| (R1) | |", "| (R1) | ../README.md |"),
    ("links", TABLE, "| (R1) | |", "| (R1) | [it](../CHANGELOG.md#123), [there](../include/pinref/), [far](https://pinref.invalid) |"),
    ("links", TABLE, "| (R1) | |", "| (R1) | `a[0](lost)` |\n\n```cpp\nf[](lost)\n```\n"),
    ("qualified_calls", PAGE, "word word_;", "word word_;\n  static int pins(int x) { return x; }"),
    ("qualified_calls", PAGE, "word word_;", "word word_;\n  // pins(page) in a comment\n  int x = y.pins(page);"),
    ("qualified_calls", PAGE, "detail::head_of(page).look()", "pinref::pins(page) + page.pins(page)"),
    ("promises", WORD, " private:", " private:\n  int hidden() noexcept { return 0; }\n"),
    ("promises", WORD, "class word {", "namespace detail {\nint part() noexcept;\n}\nclass word {"),
    ("promises", WORD, "class word {", "class word {\n public:\n  word() = default;\n  ~word() {}\n"
     "  word& operator=(const word&) noexcept { return *this; }\n"),
]


def run(lint, tree):
    return subprocess.run([sys.executable, "-B", HERE / f"{lint}.py", "--root", tree],
                          text=True, capture_output=True)


def with_change(name, old, new):
    """The good tree, with one change, in a new folder."""
    folder = tempfile.TemporaryDirectory(prefix="pinref-lint-")
    for path, text in GOOD.items():
        target = Path(folder.name, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path == name:
            assert old in text, f"{name} has no {old!r}"
            text = text.replace(old, new)
        target.write_text(text)
        if text.startswith("#!"):
            target.chmod(0o755)
    return folder


def main():
    passed = failed = 0

    def judge(good, what, output):
        nonlocal passed, failed
        passed, failed = (passed + 1, failed) if good else (passed, failed + 1)
        if not good:
            print(f"{what}:\n{output}")

    for lint in sorted({mistake[0] for mistake in MISTAKES}):
        with with_change(None, "", "") as tree:
            result = run(lint, tree)
        judge(result.returncode == 0, f"{lint} on the good tree", result.stdout + result.stderr)
    for lint, name, old, new, wanted in MISTAKES:
        with with_change(name, old, new) as tree:
            result = run(lint, tree)
        judge(result.returncode == 1 and re.search(wanted, result.stdout),
              f"{lint} on {name} with {new!r}", result.stdout + result.stderr)
    for lint, name, old, new in HARMLESS:
        with with_change(name, old, new) as tree:
            result = run(lint, tree)
        judge(result.returncode == 0, f"{lint} on {name} with {new!r}", result.stdout + result.stderr)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
