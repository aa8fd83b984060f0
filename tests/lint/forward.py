# SPDX-License-Identifier: MIT
"""fwd.hpp is the page of all public names: each stands there, declared or, where that cannot be, in a comment; and
nothing stands there that no header has.

A public name is a type, concept, alias, variable or function that a header declares in namespace pinref and not in
detail.
"""

import re

import promises
import tree

PAGE = "fwd.hpp"
# Operators of the enums, and the one name of all of them.
NOT_NAMES = {"to_string", "detail", "PINREF", "Concepts"}
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


def public_names(text):
    for each in promises.declarations(text):
        if not each.scopes or any(kind != "namespace" or name == "detail" for kind, name, _ in each.scopes):
            continue
        words = each.words
        if "requires" == words[:1]:
            continue
        if each.scope():
            if each.scope()[0] != "namespace" and "<" not in words[:words.index(each.scope()[1]) + 2][-1:]:
                yield each.scope()[1]
            continue
        if words[:1] == ["enum"]:
            yield next(word for word in words[1:] if word not in ("class", "struct") and word.isidentifier())
        elif words[:1] == ["using"] or "concept" in words[:1]:
            yield words[1]
        elif each.parameters() is not None:
            called = words[each.parameters() - 1]
            if "operator" not in words and called.isidentifier():
                yield called
        elif "=" in words and "static_assert" not in words:
            yield words[words.index("=") - 1]


def check(root):
    base = root / "include" / "pinref"
    page = (base / PAGE).read_text()
    body = page[page.index("namespace pinref"):]
    # What the comments and declarations of the page name; files and notes in parentheses are not names.
    listed = set()
    for line in re.sub(r"\([^)]*\)", "", body).split("\n"):
        if line.startswith("// ") and line.rstrip().endswith("/"):
            continue
        if line.startswith("//") and re.search(r"[.:]$", line.rstrip()):
            continue
        if line.startswith("//"):
            listed |= set(IDENTIFIER.findall(line[2:]))
    declared = set(public_names(tree.code_of(page)))
    found = set()
    for path in tree.headers(root):
        if path.name != PAGE:
            found |= set(public_names(tree.code_of(path.read_text())))
    for name in sorted(found - listed - declared - NOT_NAMES):
        yield f"include/pinref/{PAGE}: does not name {name}"
    for name in sorted((listed | declared) - found - NOT_NAMES):
        yield f"include/pinref/{PAGE}: {name} is declared by no header"


if __name__ == "__main__":
    tree.main(__doc__, check)
