# SPDX-License-Identifier: MIT
"""What the tests of packages and tools/release share: the tree as it would be released, archives that are the same from
the same tree, and steps that are judged."""

import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("support", "lint")]

from steps import main  # noqa: E402,F401
from tree import files as files_of  # noqa: E402


def copy_tree(root, to):
    """The project's files, to another place."""
    for path in files_of(root):
        copy = to / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def pack(steps, folder, archive, moment):
    """The same bytes of the same files, whoever packs them when: `moment` is in seconds of the epoch."""
    steps.succeeds(f"pack {archive.name}", "tar", "--create", f"--file={archive}", "--use-compress-program=xz -6 -T1",
                   "--sort=name", "--format=ustar", f"--mtime=@{moment}", "--owner=0", "--group=0", "--numeric-owner",
                   "--mode=u+rwX,go+rX,go-w", folder.name, cwd=folder.parent)


def make_archive(steps, tree, work, moment):
    """What `meson dist` makes of the last commit of `tree`, packed anew; or None. Leaves it unpacked in `work` too."""
    steps.succeeds(f"{work.name}: configure", "meson", "setup", work / "build", tree, "--wrap-mode=nodownload",
                   "-Dauto_features=disabled")
    steps.succeeds(f"{work.name}: meson dist", "meson", "dist", "-C", work / "build", "--no-tests", "--formats=xztar")
    made = sorted((work / "build" / "meson-dist").glob("*.tar.xz"))
    if not made:
        return None
    archive = work / made[0].name
    steps.succeeds(f"{work.name}: unpack", "tar", "-xf", made[0], "-C", work)
    pack(steps, work / archive.name.removesuffix(".tar.xz"), archive, moment)
    return archive
