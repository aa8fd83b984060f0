# SPDX-License-Identifier: MIT
"""What the tests of packages and tools/release share: the tree as it would be released, archives that are the same from
the same tree, and steps that are judged."""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from steps import main  # noqa: E402,F401


def copy_tree(root, to):
    """What git would commit, or everything but builds where there is no git."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode == 0 and (root / ".git").exists():
        for name in sorted(set(listed.stdout.split("\0"))):
            if name and (root / name).is_file():
                (to / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, to / name)
    else:
        shutil.copytree(root, to, dirs_exist_ok=True, symlinks=True,
                        ignore=lambda folder, names: {name for name in names if name in (".git", "__pycache__") or
                                                      (name == "build" and Path(folder) == root)})


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
