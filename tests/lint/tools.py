# SPDX-License-Identifier: MIT
"""The tools read their arguments first: --help and wrong ones install, build and write nothing, and a tree that cannot be
written to is a line of text.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tree

# With these a tool would begin to work.
TRAPS = ["apt-get", "dpkg-query", "sudo", "meson", "ninja", "cmake"]
# Of each tool: a word of its --help, and arguments that it must refuse.
TOOLS = {
    "test": ("--suite NAME", [["--wrong"], ["--suite"], ["--suite", "nonsense"], ["--suite=nonsense"], ["unit"]]),
    "demo": ("--directory DIR", [["--wrong"], ["--directory"], ["somewhere"]]),
    "bench": ("--quick", [["--wrong"], ["--json"], ["--quick=1"], ["words"]]),
    "docs": ("--serve", [["--wrong"], ["--no-browser=1"], ["words"]]),
    "amalgamate": ("--output", [["--wrong"], ["--output"], ["somewhere"]]),
    "fuzz": ("SECONDS", [["--wrong"], ["soon"], ["1", "2"]]),
    "release": ("--url URL", [["--wrong"], ["--url"], ["--tag=1"], ["0.1.0"]]),
    "mutate": ("--only", [["--wrong"], ["--only"], ["words"]]),
}
BUILDING = [["test"], ["demo"], ["bench", "--quick"], ["docs"], ["fuzz", "1"], ["mutate"], ["release"]]


def run(folder, command):
    """Exit code, output, and which traps were stepped on."""
    traps, log = Path(folder, "traps"), Path(folder, "log")
    log.write_text("")
    if not traps.exists():
        traps.mkdir()
        for name in TRAPS:
            (traps / name).write_text(f'#!/bin/sh\necho {name} >>"{log}"\nexit 1\n')
            (traps / name).chmod(0o755)
    path = f"{traps}{os.pathsep}{os.environ['PATH']}"
    try:
        done = subprocess.run([str(part) for part in command], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path}, timeout=60)
    except subprocess.TimeoutExpired:
        return None, "", log.read_text().split()
    return done.returncode, done.stdout, log.read_text().split()


def check(root):
    with tempfile.TemporaryDirectory(prefix="pinref-tools-") as folder:
        for tool, (word, wrong) in TOOLS.items():
            cases = [([help_], 0, word) for help_ in ("--help", "-h")] + [(each, 2, word) for each in wrong]
            for arguments, wanted, text in cases:
                code, output, stepped = run(folder, [root / "tools" / tool, *arguments])
                what = f"tools/{' '.join([tool, *arguments])}"
                if stepped:
                    yield f"{what}: ran {', '.join(sorted(set(stepped)))}"
                elif code != wanted:
                    yield f"{what}: ended with {code}, not {wanted}: {output.strip()}"
                elif text not in output:
                    yield f"{what}: does not say {text!r}: {output.strip()}"

        # A file where the folder should be is as good as a file system that is read-only, for root as well.
        copy = Path(folder, "tree")
        shutil.copytree(root / "tools", copy / "tools")
        (copy / "build").write_text("")
        for tool, *arguments in BUILDING:
            code, output, stepped = run(folder, [copy / "tools" / tool, *arguments])
            if stepped or not code or "Traceback" in output or "cannot write to" not in output:
                yield f"tools/{tool} in a tree that is read-only: {code}, ran {stepped}: {output.strip()}"

        (copy / "build").unlink()
        (copy / "build" / "demo.log").mkdir(parents=True)
        code, output, _ = run(folder, [sys.executable, "-B", copy / "tools" / "lib" / "run_demo.py", "--root", copy])
        if not code or "Traceback" in output or "demo.log" not in output:
            yield f"tools/demo with a log that cannot be written: {code}: {output.strip()}"


if __name__ == "__main__":
    tree.main(__doc__, check)
