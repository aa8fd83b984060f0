"""Every header of the library opens, right after #pragma once, with one comment that says

- what it is: `/// \\file`, then a first sentence that ends with a full stop;
- when not to use it: a paragraph that begins with `When not to use it:`;
- an example: a line `Example:` with indented code below it.
"""

import re

import tree

PARTS = {
    "a first sentence after `/// \\file`": re.compile(r"\A/// \\file\n/// \S[^\n]*(?:\n/// \S[^\n]*)*?[.:](?:\n|\s)"),
    "a paragraph `When not to use it: ...`": re.compile(r"^///\n/// When not to use it: \S", re.M),
    "a line `Example:` and code below it": re.compile(r"^///\n/// Example:\n///\n///     \S", re.M),
}


def check(root):
    for path in tree.headers(root):
        name = path.relative_to(root)
        lines = path.read_text().split("\n")
        if lines[:2] != ["#pragma once", ""]:
            yield f"{name}: does not begin with #pragma once and an empty line"
            continue
        comment = []
        for line in lines[2:]:
            if not line.startswith("///"):
                break
            comment.append(line)
        text = "\n".join(comment) + "\n"
        for what, pattern in PARTS.items():
            if not pattern.search(text):
                yield f"{name}: the opening comment lacks {what}"


if __name__ == "__main__":
    tree.main(__doc__, check)
