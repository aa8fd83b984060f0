# SPDX-License-Identifier: MIT
"""What tests share that are lists of commands in a scratch folder: how one is run and judged.

A step either must succeed or must be refused, and counts as one case. The last line reads `N passed, N failed`.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77


class Steps:
    """A scratch folder, the project's root, the compiler if one is given, and the tally of steps."""

    def __init__(self, root, command, folder):
        self.root, self.command, self.folder = root, command, folder
        self.passed = self.failed = 0
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("MESON", "NINJA", "DEB_"))}

    def run(self, *command, cwd=None, **environment):
        """Runs the command; one that cannot even start fails like any other."""
        command = [str(part) for part in command]
        try:
            return subprocess.run(command, cwd=cwd or self.folder, text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env={**self.environment, **environment})
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, stdout=str(error))

    def succeeds(self, what, *command, **more):
        result = self.run(*command, **more)
        self.judge(what, result.returncode == 0, result.stdout)
        return result.stdout

    def refused(self, what, because, *command, **more):
        """The command must fail, and say `because`."""
        result = self.run(*command, **more)
        said = re.search(because, " ".join(result.stdout.split())) is not None
        self.judge(what, result.returncode != 0 and said, result.stdout)

    def judge(self, what, good, details=""):
        self.passed, self.failed = (self.passed + 1, self.failed) if good else (self.passed, self.failed + 1)
        print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)
        if not good:
            print(details, flush=True)
        return good


def main(description, needs, check, make=Steps, compiler=False):
    """Runs `check(make(...))` in a scratch folder; skips where a program of `needs` is missing. With `compiler` its
    command follows the options."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True)
    if compiler:
        parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    for program in needs:
        if not shutil.which(program):
            print(f"{program} is not installed")
            sys.exit(SKIP)
    # As Meson ends a test; the scratch folder goes nevertheless.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="pinref-steps-") as folder:
        steps = make(options.root.resolve(), getattr(options, "command", None), Path(folder).resolve())
        check(steps)
    print(f"{steps.passed} passed, {steps.failed} failed")
    sys.exit(1 if steps.failed or not steps.passed else 0)
