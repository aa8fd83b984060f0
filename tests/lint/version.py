# SPDX-License-Identifier: MIT
"""One version: version.hpp's macros, meson.build, CMakeLists.txt, the newest entry of CHANGELOG.md, and where they are
there the macros of pinref.h and the changelog of the Debian package agree; and every header puts its names into the inline
namespace of that version, so that two versions in one program stay apart.
"""

import re

import tree

PLACES = {
    "meson.build": r"^\s*version: '([^']+)'",
    "CMakeLists.txt": r"^project\(pinref VERSION (\S+)",
    "CHANGELOG.md": r"^## \[?(\d\S*?)\]?(?:\s|$)",
}
# Of parts that can be taken away.
OPTIONAL = {
    "packaging/debian/changelog": r"^pinref \(([\d.]+)-",
}


def check(root):
    text = (root / "include/pinref/version.hpp").read_text()
    parts = [re.search(rf"^#define PINREF_VERSION_{part} (\d+)$", text, re.M)
             for part in ("MAJOR", "MINOR", "PATCH")]
    if not all(parts):
        yield "include/pinref/version.hpp: no PINREF_VERSION_MAJOR, _MINOR and _PATCH"
        return
    inline = f"v{parts[0].group(1)}_{parts[1].group(1)}"
    for path in tree.headers(root):
        code = tree.code_of(path.read_text())
        for opened in re.finditer(r"^namespace pinref\b([^{;]*)\{", code, re.M):
            if not re.fullmatch(rf"::inline {inline}(::detail)? ", opened.group(1)):
                yield f"{path.relative_to(root)}:{tree.line_of(code, opened.start())}: not in pinref::inline {inline}"
    version = ".".join(part.group(1) for part in parts)
    in_c = root / "c/include/pinref.h"
    if in_c.is_file():
        for part, own in zip(("MAJOR", "MINOR", "PATCH"), parts):
            found = re.search(rf"^#define PINREF_VERSION_{part} (\d+)$", in_c.read_text(), re.M)
            if not found or found.group(1) != own.group(1):
                yield f"c/include/pinref.h: PINREF_VERSION_{part} is not {own.group(1)}"
    for name, pattern in {**PLACES, **{name: OPTIONAL[name] for name in OPTIONAL if (root / name).is_file()}}.items():
        found = re.search(pattern, (root / name).read_text(), re.M)
        if not found:
            yield f"{name}: no version"
        elif found.group(1) != version:
            yield f"{name}: {found.group(1)}, but version.hpp says {version}"


if __name__ == "__main__":
    tree.main(__doc__, check)
