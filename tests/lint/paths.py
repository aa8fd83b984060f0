# SPDX-License-Identifier: MIT
"""The project speaks of itself alone: no file names a place outside the tree.

That is a path that climbs out of the tree with `../`, and an absolute path where people keep their work.
"""

import re

import tree

ABSOLUTE = re.compile(r"(?<![\w.$})>*-])/(?:home/\w|Users/\w|root/|work(?![\w-]))")
CLIMB = re.compile(r"(?<![\w./])((?:\./)?(?:\.\./)+)(\w*)")


def check(root):
    for path in tree.files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(root)
        depth = len(name.parts) - 1
        for found in ABSOLUTE.finditer(text):
            yield f"{name}:{tree.line_of(text, found.start())}: a path of some machine: {found.group()}"
        for found in CLIMB.finditer(text):
            if found.group(1).count("../") > depth:
                yield f"{name}:{tree.line_of(text, found.start())}: leaves the tree: {found.group()}"


if __name__ == "__main__":
    tree.main(__doc__, check)
