# SPDX-License-Identifier: MIT
"""No function of a host's replaces one of the library's: every call names its namespace.

Inside include/pinref a call of a function that some header declares in a namespace is written `pinref::f(...)` or
`detail::f(...)`. Unqualified, it would be looked up in the namespaces of its arguments too, and those are the host's: a
`put_page` of its own would be called instead. A member of the same name is called as `this->f(...)` or `type::f(...)`.

tests/unit/foreign_names.cpp is the host that has all these names; its list must be complete.
"""

import re

import tree

HOST = "tests/unit/foreign_names.cpp"
LISTED = re.compile(r"^FOREIGN\((\w+)\)", re.M)
NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\s*(?=\()")
# What may stand before a parenthesis in a declaration and is not its name.
NOT_A_NAME = {"alignas", "decltype", "explicit", "noexcept", "operator", "requires", "sizeof", "static_assert",
              "__attribute__", "defined"}
CLASS = re.compile(r"\b(class|struct|union|enum)\b")


def without_templates(text):
    """`text` with template heads and attributes blanked out, so that the first name before a parenthesis declares."""
    text = re.sub(r"\[\[.*?\]\]", lambda found: tree.blank(found.group()), text, flags=re.S)
    result, position = [], 0
    for found in re.finditer(r"\btemplate\s*<", text):
        if found.start() < position:
            continue
        depth, end = 1, found.end()
        while depth and end < len(text):
            depth += {"<": 1, ">": -1}.get(text[end], 0)
            end += 1
        result += [text[position:found.start()], tree.blank(text[found.start():end])]
        position = end
    return "".join(result) + text[position:]


def member(head, found, scopes):
    """In a class, or of one and defined outside of it."""
    return "class" in scopes or head[:found.start()].rstrip().endswith("::")


def declarations(code):
    """Each declaration outside of functions: where its name stands, the name, and whether a class is around it."""
    code = re.sub(r"^[ \t]*#.*?(?<!\\)$", lambda found: tree.blank(found.group()), code, flags=re.S | re.M)
    scopes, start = [], 0
    for position, sign in enumerate(code):
        if sign not in "{};":
            continue
        head = without_templates(code[start:position])
        outside = all(scope != "body" for scope in scopes)
        found = next((name for name in NAME.finditer(head) if name.group(1) not in NOT_A_NAME), None)
        if sign == "{":
            if outside and re.search(r"\bnamespace\b", head):
                scopes.append("namespace")
            elif outside and CLASS.search(head) and (found is None or CLASS.search(head).start() < found.start()):
                scopes.append("class")
            else:
                if outside and found and "=" not in head[:found.start()]:
                    yield start + found.start(), found.group(1), member(head, found, scopes)
                scopes.append("body")
        elif outside and sign == ";" and found and "=" not in head[:found.start()]:
            if "operator" not in head:
                yield start + found.start(), found.group(1), member(head, found, scopes)
        if sign == "}" and scopes:
            scopes.pop()
        start = position + 1


def check(root):
    codes = {path.relative_to(root).as_posix(): tree.code_of(path.read_text()) for path in tree.headers(root)}
    declared = {name: list(declarations(code)) for name, code in codes.items()}
    functions = {function for each in declared.values() for _, function, member in each if not member}
    for name, code in codes.items():
        positions = {position for position, _, _ in declared[name]}
        for found in re.finditer(r"(?<![\w.])([A-Za-z_]\w*)\s*(?:<[^;(){}]*>\s*)?\(", code):
            before = code[:found.start()].rstrip()
            if found.group(1) in functions and found.start() not in positions \
                    and not before.endswith(("::", "->", ".template", "->template")):
                yield f"{name}:{tree.line_of(code, found.start())}: {found.group(1)} without its namespace"

    host = root / HOST
    listed = set(LISTED.findall(host.read_text())) if host.is_file() else set()
    for function in sorted(functions - listed):
        yield f"{HOST}: no FOREIGN({function})"
    for function in sorted(listed - functions):
        yield f"{HOST}: {function} is no function of the library"


if __name__ == "__main__":
    tree.main(__doc__, check)
