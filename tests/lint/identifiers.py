# SPDX-License-Identifier: MIT
"""No identifier is called linux or unix: both are macros in gnu++20. Macros of the library begin with PINREF_.

System headers below linux/ may be included.
"""

import re

import tree

NAME = re.compile(r"\b(linux|unix)\b")
INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b.*$", re.M)
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.M)


def check(root):
    for path in tree.files(root, ".hpp", ".cpp"):
        name = path.relative_to(root)
        code = INCLUDE.sub(lambda found: tree.blank(found.group()), tree.code_of(path.read_text()))
        for found in NAME.finditer(code):
            yield f"{name}:{tree.line_of(code, found.start())}: {found.group()} is a macro in gnu++20"
        if name.parts[0] == "include":
            for found in MACRO.finditer(code):
                if not found.group(1).startswith("PINREF_"):
                    yield f"{name}:{tree.line_of(code, found.start())}: macro {found.group(1)} lacks PINREF_"


if __name__ == "__main__":
    tree.main(__doc__, check)
