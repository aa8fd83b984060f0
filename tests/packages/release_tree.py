# SPDX-License-Identifier: MIT
"""What the tests of packages share: the tree as it would be released, and steps that are judged."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77


class Steps:
    def __init__(self, root, folder):
        self.root, self.folder = root, folder
        self.passed = self.failed = 0
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("MESON", "NINJA", "DEB_"))}

    def run(self, *command, cwd=None, **environment):
        command = [str(part) for part in command]
        try:
            return subprocess.run(command, cwd=cwd or self.folder, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env={**self.environment, **environment})
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, stdout=str(error))

    def succeeds(self, what, *command, **more):
        result = self.run(*command, **more)
        self.judge(what, result.returncode == 0, result.stdout[-6000:])
        return result.stdout

    def judge(self, what, good, details=""):
        self.passed, self.failed = (self.passed + 1, self.failed) if good else (self.passed, self.failed + 1)
        print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)
        if not good:
            print(details, flush=True)
        return good


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


def main(description, needs, check):
    """Runs `check(steps)` in a scratch folder; skips where a program of `needs` is missing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True)
    options = parser.parse_args()
    for program in needs:
        if not shutil.which(program):
            print(f"{program} is not installed")
            sys.exit(SKIP)
    with tempfile.TemporaryDirectory(prefix="pinref-package-") as folder:
        steps = Steps(options.root.resolve(), Path(folder).resolve())
        check(steps)
    print(f"{steps.passed} passed, {steps.failed} failed")
    sys.exit(1 if steps.failed or not steps.passed else 0)
