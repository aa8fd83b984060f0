# SPDX-License-Identifier: MIT
"""Plants the bugs of bugs.txt one at a time, and asks the tests that each of them names whether they notice."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "mutation"))

import noticing  # noqa: E402

COMPILE = ["-std=c++20", "-w"]
# The explorer has no time to go without.
OPTIMIZE = {"unit": "-O0", "share": "-O0", "explore": "-O1"}


@dataclass
class Bug:
    line: int
    name: str
    header: str = ""
    tests: tuple = ()
    old: list = field(default_factory=list)
    new: list = field(default_factory=list)

    def planted_in(self, text):
        """The header with the bug in. Raises ValueError."""
        found = list(pattern(self.old).finditer(text))
        if len(found) != 1:
            raise ValueError(f"the text of the bug is there {len(found)} times, not once")
        start, end = found[0].span()
        return text[:start] + "\n".join(self.new) + text[end:]


def pattern(lines):
    """Finds these lines, whatever space and comments stand between their words."""
    words = re.findall(r"\w+|[^\w\s]", "\n".join(lines))
    between = r"(?:\s|//[^\n]*)"
    parts = [re.escape(words[0])]
    for before, word in zip(words, words[1:]):
        both_letters = re.match(r"\w", before) and re.match(r"\w", word)
        parts += [between + ("+" if both_letters else "*"), re.escape(word)]
    whole = "".join(parts)
    return re.compile((r"\b" if re.match(r"\w", words[0]) else "") + whole + (r"\b" if re.match(r"\w", words[-1]) else ""))


def first(errors):
    """Of a compiler or linker."""
    return next((line for line in errors.splitlines() if "error" in line), errors[:200])


def main():
    options = arguments()
    bugs = [bug for bug in read(options.bugs) if not options.only or options.only in f"{bug.header}: {bug.name}"]
    if options.list:
        for bug in bugs:
            print(f"{bug.header}: {bug.name}: {' '.join(bug.tests)}")
        return 0
    noticed, failures = 0, []
    with tempfile.TemporaryDirectory(prefix="pinref-bugs-") as folder:
        lab = Lab(options, Path(folder))
        sound = lab.without_bugs({bug.tests for bug in bugs})
        with ThreadPoolExecutor(options.jobs) as pool:
            for bug, (by, trouble) in zip(bugs, pool.map(lambda bug: lab.try_out(bug, sound[bug.tests]), bugs)):
                noticed += trouble is None
                if trouble is not None:
                    failures.append(f"{options.bugs.name}:{bug.line}: {bug.header}: {bug.name}: {trouble}")
                print(f"[{noticed + len(failures)}/{len(bugs)}] {bug.header}: {bug.name}: "
                      f"{trouble or by}", flush=True)
    floors = Counter(bug.header.split("/")[0] for bug in bugs)
    print(f"covered: {len(bugs)} bugs, " + ", ".join(f"{floors[floor]} of {floor}" for floor in sorted(floors)))
    for each in failures:
        print(each)
    # The closing line that tools/test counts.
    print(f"{noticed} passed, {len(failures)} failed")
    return 1 if failures else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=HERE.parent.parent)
    parser.add_argument("--bugs", type=Path, default=HERE / "bugs.txt", help=argparse.SUPPRESS)
    parser.add_argument("--only", metavar="TEXT", help="bugs with this in their header or name")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cxx", default=os.environ.get("CXX", "g++"))
    return parser.parse_args()


def read(file):
    """The bugs, in the form that the head of the file explains."""
    bugs = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        key, _, rest = line.partition(" ")
        if not line or key == "#":
            continue
        if key == "bug":
            bugs.append(Bug(number, rest.strip()))
        elif key == "in":
            bugs[-1].header = rest.strip()
        elif key == "test":
            bugs[-1].tests = tuple(rest.split())
        elif key in ("-", "+", ""):
            if key != "+":
                bugs[-1].old.append(rest)
            if key != "-":
                bugs[-1].new.append(rest)
        else:
            sys.exit(f"{file.name}:{number}: neither bug, in, test nor a line of a change: {line}")
    for bug in bugs:
        if not bug.header or not bug.tests or not "".join(bug.old).strip() or bug.old == bug.new:
            sys.exit(f"{file.name}:{bug.line}: {bug.name}: says not where, by whom, or what")
    names = Counter((bug.header, bug.name) for bug in bugs)
    for (header, name), n in names.items():
        if n != 1:
            sys.exit(f"{file.name}: {header}: {name}: is there {n} times")
    return bugs


class Lab:
    """A copy of the headers, and the tests built against it."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.tests = options.root / "tests"
        self.include = folder / "include"
        shutil.copytree(options.root / "include", self.include)
        self.main = folder / "main.o"

    def build(self, names, out, before=()):
        """A program of these tests; `before` are folders of headers that go before the copy. None, or the errors."""
        paths = [f"-I{each}" for each in (*before, self.include, self.tests, self.tests / "support",
                                          self.options.root / "explorer" / "include")]
        objects = []
        for name in names:
            objects.append(out.with_name(name.replace("/", "_") + ".o"))
            made = self._run([*COMPILE, OPTIMIZE[name.split("/")[0]], *paths, "-c", self.tests / name, "-o", objects[-1]])
            if made.returncode != 0:
                return made.stderr
        made = self._run([*objects, self.main, "-pthread", "-o", out])
        return made.stderr if made.returncode != 0 else None

    def _run(self, command):
        return subprocess.run([self.options.cxx, *map(str, command)], capture_output=True, text=True)

    def without_bugs(self, programs):
        """For each tuple of tests why it cannot be asked, or None, and the processor time that a run may take."""
        programs = sorted(programs)
        print(f"{len(programs)} programs without a bug", flush=True)
        made = self._run([*COMPILE, f"-I{self.tests / 'support'}", "-c", self.tests / "support" / "main.cpp", "-o", self.main])
        if made.returncode != 0:
            sys.exit(made.stderr)
        outs = [self.folder / f"sound{i}" / "program" for i in range(len(programs))]
        for out in outs:
            out.parent.mkdir()
        with ThreadPoolExecutor(self.options.jobs) as pool:
            errors = list(pool.map(self.build, programs, outs))
        sound = {}
        for tests, out, error in zip(programs, outs, errors):
            if error is not None:
                sound[tests] = (f"does not compile without the bug: {first(error)}", 0)
                continue
            by, seconds = noticing.without_a_mistake(out)
            sound[tests] = (f"red without the bug: {by}" if by is not None else None, seconds)
            shutil.rmtree(out.parent)
        return sound

    def try_out(self, bug, sound):
        """Who noticed, and what is wrong with the entry or the tests, or None."""
        trouble, seconds = sound
        if trouble is not None:
            return None, trouble
        header = self.include / "pinref" / bug.header
        if not header.is_file():
            return None, "there is no such header"
        try:
            changed = bug.planted_in(header.read_text())
        except ValueError as error:
            return None, str(error)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            scratch = Path(scratch)
            (scratch / "pinref" / bug.header).parent.mkdir(parents=True)
            (scratch / "pinref" / bug.header).write_text(changed)
            error = self.build(bug.tests, scratch / "program", [scratch])
            if error is not None:
                return None, f"does not compile with the bug in: {first(error)}"
            by = noticing.noticed_by(scratch / "program", seconds)
        return by, None if by is not None else "NOT NOTICED"


if __name__ == "__main__":
    sys.exit(main())
