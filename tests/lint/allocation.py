# SPDX-License-Identifier: MIT
"""The library allocates nothing, so that allocators, C programs and segments can stand on it.

No header of include/pinref has a new-expression but placement, a delete-expression, a call of malloc's family, a
container or a smart pointer of the standard library; but for those of ALLOCATING, which are a host's memory.
"""

import re

import tree

ALLOCATING = {
    "host/frame_arena.hpp",
    "host/page_table.hpp",
    "host/pmr_resource.hpp",
}
STANDARD = ("deque|functional|iostream|list|map|memory|ostream|queue|set|sstream|stack|string|thread|unordered_map|"
            "unordered_set|vector")
FOUND = {
    "a new-expression": re.compile(r"(?<!operator )(?<!<)\bnew\b(?!\s*\()"),
    "a delete-expression": re.compile(r"(?<!= )(?<!operator )\bdelete\b"),
    "a call of malloc's family": re.compile(r"\b(?:malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup)\s*\("),
    "a smart pointer": re.compile(r"\bstd::(?:make_)?(?:unique|shared)(?:_ptr)?\b"),
}
INCLUDES = re.compile(rf"#include <({STANDARD})>")


def check(root):
    include = root / "include" / "pinref"
    for path in sorted(include.rglob("*.hpp")):
        name = path.relative_to(include).as_posix()
        if name in ALLOCATING:
            continue
        text = path.read_text()
        code = tree.code_of(text)
        for what, pattern in FOUND.items():
            for found in pattern.finditer(code):
                yield f"include/pinref/{name}:{tree.line_of(code, found.start())}: {what}"
        for found in INCLUDES.finditer(code):
            yield f"include/pinref/{name}:{tree.line_of(code, found.start())}: <{found[1]}>"


if __name__ == "__main__":
    tree.main(__doc__, check)
