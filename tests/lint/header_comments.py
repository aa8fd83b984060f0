# SPDX-License-Identifier: MIT
"""Every header of the library names its licence, then #pragma once, then opens with one comment that says

- what it is: `/// \\file`, then a first sentence that ends with a full stop;
- when not to use it: a paragraph that begins with `When not to use it:`;
- an example: a line `Example:` with indented code below it;
- why it is long, if it has more than 300 lines: `Longer than other headers, because ...`.
"""

import re

import tree

MOST_LINES = 300
PARTS = {
    "a first sentence after `/// \\file`": re.compile(r"\A/// \\file\n/// \S[^\n]*(?:\n/// \S[^\n]*)*?[.:](?:\n|\s)"),
    "a paragraph `When not to use it: ...`": re.compile(r"^///\n/// When not to use it: \S", re.M),
    "a line `Example:` and code below it": re.compile(r"^///\n/// Example:\n///\n///     \S", re.M),
}


def check(root):
    for path in tree.headers(root):
        name = path.relative_to(root)
        lines = path.read_text().split("\n")
        if lines[:3] != ["// SPDX-License-Identifier: MIT", "#pragma once", ""]:
            yield f"{name}: does not begin with its licence, #pragma once and an empty line"
            continue
        comment = []
        for line in lines[3:]:
            if not line.startswith("///"):
                break
            comment.append(line)
        text = "\n".join(comment) + "\n"
        if len(lines) > MOST_LINES and "/// Longer than other headers, because " not in text:
            yield f"{name}: {len(lines)} lines, and no reason why"
        for what, pattern in PARTS.items():
            if not pattern.search(text):
                yield f"{name}: the opening comment lacks {what}"


if __name__ == "__main__":
    tree.main(__doc__, check)
