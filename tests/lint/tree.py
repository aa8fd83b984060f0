# SPDX-License-Identifier: MIT
"""What the lints share: the project's files, C++ text split into code and comments, and how to report."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

# In this order, so that a quote in a comment or a slash in a string is taken for neither.
TOKENS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"([^()\\\s]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'""",
    re.S)


def blank(text):
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    """`text` with comments and the contents of literals blanked out, line for line and column for column."""
    def replace(match):
        token = match.group()
        if token.startswith("/") or not is_include(text, match.start()):
            return blank(token)
        return token
    return TOKENS.sub(replace, text)


def is_include(text, position):
    line = text[text.rfind("\n", 0, position) + 1:position]
    return line.lstrip().startswith("#") and "include" in line


def files(root, *suffixes):
    """The project's files below `root`: what git would commit, or everything where there is no git."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True)
    if listed.returncode == 0 and (root / ".git").exists():
        paths = [root / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for path in root.rglob("*")
                 if path.relative_to(root).parts[0] not in (".git", "build")
                 and "__pycache__" not in path.parts]
    return sorted(path for path in set(paths)
                  if path.is_file() and (not suffixes or path.suffix in suffixes))


def headers(root):
    return sorted((root / "include" / "pinref").rglob("*.hpp"))


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def main(description, check):
    """Runs `check(root)`, which yields one message per finding, and turns it into an exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True)
    findings = list(check(parser.parse_args().root.resolve()))
    for finding in findings:
        print(finding)
    print("1 passed, 0 failed" if not findings else f"0 passed, {len(findings)} failed")
    sys.exit(1 if findings else 0)
