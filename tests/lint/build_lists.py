# SPDX-License-Identifier: MIT
"""Every C++ source of tests/, bench/, examples/ and explorer/ is built: the nearest meson.build names it.

The cases of tests/nocompile, and the main of tests/mutation, are found by their driver. Other drivers' inputs are named in meson.build like sources.
"""

import tree

DRIVEN = {"tests/mutation", "tests/nocompile", "tests/consumers", "explorer/examples"}


def check(root):
    for path in tree.files(root, ".cpp"):
        name = path.relative_to(root)
        if name.parts[0] not in ("tests", "bench", "examples", "explorer") or "/".join(name.parts[:2]) in DRIVEN:
            continue
        folder = path.parent
        while not (folder / "meson.build").is_file():
            folder = folder.parent
        listed = path.relative_to(folder).as_posix()
        if f"'{listed}'" not in (folder / "meson.build").read_text():
            yield f"{name}: not in {(folder / 'meson.build').relative_to(root)}"


if __name__ == "__main__":
    tree.main(__doc__, check)
