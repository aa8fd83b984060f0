# SPDX-License-Identifier: MIT
"""Every source names its licence in its first line; below its `#!`, where it has one.

A source is what is compiled, run or read by a build. Headers of the library are judged by header_comments.py as well.
"""

import tree

LICENCE = "SPDX-License-Identifier: MIT"
# By suffix, or by name.
COMMENT = {
    ".cpp": "//", ".hpp": "//", ".h": "//", ".py": "#", ".sh": "#", ".build": "#", ".ini": "#", ".in": "#", ".yml": "#",
    "CMakeLists.txt": "#", "meson_options.txt": "#",
}


def first_lines(path):
    """The first two, as far as they are text."""
    with path.open("rb") as file:
        return [file.readline().decode("utf-8", "replace").rstrip("\n") for _ in range(2)]


def check(root):
    for path in tree.files(root):
        first, second = first_lines(path)
        runs = first.startswith("#!")
        comment = "#" if runs else COMMENT.get(path.suffix, COMMENT.get(path.name))
        if comment and (second if runs else first) != f"{comment} {LICENCE}":
            yield f"{path.relative_to(root)}: does not begin with `{comment} {LICENCE}`"


if __name__ == "__main__":
    tree.main(__doc__, check)
