"""One version: version.hpp's macros, meson.build, CMakeLists.txt and the newest entry of CHANGELOG.md agree."""

import re

import tree

PLACES = {
    "meson.build": r"^\s*version: '([^']+)'",
    "CMakeLists.txt": r"^project\(pinref VERSION (\S+)",
    "CHANGELOG.md": r"^## \[?(\d\S*?)\]?(?:\s|$)",
}


def check(root):
    text = (root / "include/pinref/version.hpp").read_text()
    parts = [re.search(rf"^#define PINREF_VERSION_{part} (\d+)$", text, re.M)
             for part in ("MAJOR", "MINOR", "PATCH")]
    if not all(parts):
        yield "include/pinref/version.hpp: no PINREF_VERSION_MAJOR, _MINOR and _PATCH"
        return
    version = ".".join(part.group(1) for part in parts)
    for name, pattern in PLACES.items():
        found = re.search(pattern, (root / name).read_text(), re.M)
        if not found:
            yield f"{name}: no version"
        elif found.group(1) != version:
            yield f"{name}: {found.group(1)}, but version.hpp says {version}"


if __name__ == "__main__":
    tree.main(__doc__, check)
