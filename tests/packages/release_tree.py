# SPDX-License-Identifier: MIT
"""What the tests of packages share: the tree as it would be released, and steps that are judged."""

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
