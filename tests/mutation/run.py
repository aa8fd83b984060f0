# SPDX-License-Identifier: MIT
"""Builds the unit and explore tests once with all mutants switchable, and runs them once for each mutant."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import noticing
import operators

# What acts above these has bugs with names (tests/bugs) and the explorer.
FLOORS = {"sync", "word", "parts", "ref", "page", "gup"}
CONSTANTS = ["word/zones.hpp"]

COMPILE = ["-std=c++20", "-O1", "-w"]
SUITES = ["unit", "explore"]  # the faster one first
# Mutates itself; of floors above, and slow.
LEFT_OUT = ["explore/order_mutation.cpp", "explore/registration_cache.cpp", "explore/share.cpp"]
# Who most likely notices a wrong constant, and compiles fast.
CONSTANTS_FIRST = ["unit/word/zones.cpp", "unit/word/bias_layout.cpp", "unit/ref/page_ref.cpp", "unit/word/zoned_word.cpp",
                   "explore/limits.cpp", "explore/waiting.cpp", "explore/lifetime.cpp", "explore/mapping.cpp"]
# Test cases that take so many seconds together are run as one.
QUICK = 0.5

RESULTS, EQUIVALENT = "results.tsv", "equivalent.tsv"


def main():
    options = arguments()
    headers = find_mutants(options)
    everything = [mutant for header in headers for mutant in header.mutants]
    table = Table(Path(__file__).parent, everything)
    chosen = [mutant for mutant in everything
              if not (options.only and mutant.path not in options.only)
              and not (options.missing and table.killer(mutant))]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.path}:{mutant.line}: {mutant.key}")
        return 0
    if not chosen:
        print("0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory(prefix="pinref-mutate-") as folder:
        lab = Lab(options, Path(folder), headers, {mutant.path for mutant in chosen})
        if not lab.build():
            return 1
        killers = []
        for mutant, killer in lab.run_all(chosen):
            killers.append(killer)
            print(f"[{len(killers)}/{len(chosen)}] {mutant.path}:{mutant.line}: {mutant.key}: {killer or 'SURVIVED'}",
                  flush=True)
            table.note(mutant, killer)
            if options.write:
                table.write()
    return report(chosen == everything, chosen, killers, table)


def arguments():
    parser = argparse.ArgumentParser(prog="tools/mutate")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", action="append", help="a header below include/pinref")
    parser.add_argument("--missing", action="store_true", help="those that results.tsv names no test for")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cxx", default=os.environ.get("CXX", "g++"))
    return parser.parse_args()


def find_mutants(options):
    include = options.root / "include" / "pinref"
    headers, number = [], 0
    for file in sorted(include.rglob("*.hpp")):
        path = file.relative_to(include).as_posix()
        if path.split("/")[0] not in FLOORS:
            continue
        header = operators.Instrumented(path, file.read_text(), number, path in CONSTANTS)
        number += len(header.mutants)
        headers.append(header)
    return headers


@dataclass
class Program:
    suite: str
    tests: list
    cases: list = None  # from the quickest to the slowest


class Lab:
    """A scratch copy of the headers, the tests built against it, and the runs."""

    def __init__(self, options, folder, headers, mutated):
        self.options = options
        self.folder = folder
        self.headers = headers
        self.tests = options.root / "tests"
        self.include = folder / "include"
        shutil.copytree(options.root / "include", self.include)
        (folder / "mutate.hpp").write_text(operators.SUPPORT)
        for header in headers:
            (self.include / "pinref" / header.path).write_text(header.instrumented())
        self.included = {name: self._includes(name) for suite in SUITES for name in self._listed(suite)}
        names = [name for name in self.included if self.included[name] & mutated]
        self.programs = [Program(suite, tests) for suite in SUITES
                         if (tests := [name for name in names if name.startswith(suite)])]

    def _listed(self, suite):
        listed = re.search(rf"'{suite}': files\((.*?)\)", (self.tests / "meson.build").read_text(), re.S)[1]
        return [name for name in re.findall(r"'([^']+)'", listed) if name not in LEFT_OUT]

    def _includes(self, name):
        command = [self.options.cxx, *COMPILE, *self._paths(self.include), "-MM", str(self.tests / name)]
        made = subprocess.run(command, capture_output=True, text=True).stdout
        return {each.split("include/pinref/")[1] for each in made.split() if "include/pinref/" in each}

    def _paths(self, include):
        return ["-include", str(self.folder / "mutate.hpp"), f"-I{include}", f"-I{self.tests}",
                f"-I{self.tests / 'support'}", f"-I{self.options.root / 'explorer' / 'include'}"]

    def _compile(self, source, out, include):
        command = [self.options.cxx, *COMPILE, *self._paths(include), "-c", str(source), "-o", str(out)]
        return subprocess.run(command, capture_output=True, text=True)

    def _link(self, objects, out):
        command = [self.options.cxx, *map(str, objects), str(self.folder / "main.o"), "-pthread", "-o", str(out)]
        return subprocess.run(command, capture_output=True, text=True)

    def _object(self, name):
        return self.folder / (name.replace("/", "_") + ".o")

    def build(self):
        names = [name for program in self.programs for name in program.tests]
        print(f"building {len(names)} tests", flush=True)
        jobs = [(self.tests / "mutation" / "main.cpp", self.folder / "main.o")]
        jobs += [(self.tests / name, self._object(name)) for name in names]
        with ThreadPoolExecutor(self.options.jobs) as pool:
            for (source, _), made in zip(jobs, pool.map(lambda job: self._compile(*job, self.include), jobs)):
                if made.returncode != 0:
                    print(f"{source}: does not compile with the switches in:\n{made.stderr[:4000]}")
                    return False
        for program in self.programs:
            made = self._link([self._object(name) for name in program.tests], self.folder / program.suite)
            if made.returncode != 0:
                print(made.stderr[:4000])
                return False
            print(f"looking which mutants each case of {program.suite} reaches", flush=True)
            program.cases = noticing.cases_of(self.folder / program.suite)
            if not program.cases:
                print(f"{program.suite} fails without a mutant")
                return False
            program.cases.sort(key=lambda case: case.seconds)
        return True

    def _killer(self, mutant):
        if mutant.replacement is not None:
            return self._recompiled(mutant)
        for program in self.programs:
            for cases in self._together([case for case in program.cases if mutant.number in case.reached]):
                limit = noticing.allowed(sum(case.seconds for case in cases))
                killer = noticing.noticed_by(self.folder / program.suite, limit, [case.name for case in cases],
                                             PINREF_MUTANT=str(mutant.number))
                if killer is not None:
                    return f"{program.suite}: {killer}"
        return None

    @staticmethod
    def _together(cases):
        """Lists of cases that are run as one: what is quick, in front, then one after the other."""
        seconds, quick = 0, 0
        while quick != len(cases) and seconds + cases[quick].seconds <= QUICK:
            seconds += cases[quick].seconds
            quick += 1
        if quick:
            yield cases[:quick]
        for case in cases[quick:]:
            yield [case]

    def _recompiled(self, mutant):
        names = [name for program in self.programs for name in program.tests]
        names.sort(key=lambda name: CONSTANTS_FIRST.index(name) if name in CONSTANTS_FIRST else len(CONSTANTS_FIRST))
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            scratch = Path(scratch)
            shutil.copytree(self.include, scratch / "include")
            changed = scratch / "include" / "pinref" / mutant.path
            original = (self.options.root / "include" / "pinref" / mutant.path).read_text()
            start, end, text = mutant.replacement
            changed.write_text(original[:start] + text + original[end:])
            for name in names:
                suite = name.split("/")[0]
                if self._compile(self.tests / name, scratch / "test.o", scratch / "include").returncode != 0:
                    return f"{suite}: {name} does not compile"
                if self._link([scratch / "test.o"], scratch / "test").returncode != 0:
                    return f"{suite}: {name} does not link"
                killer = noticing.noticed_by(scratch / "test", PINREF_MUTANT="-1")
                if killer is not None:
                    return f"{suite}: {killer}"
        return None

    def run_all(self, chosen):
        with ThreadPoolExecutor(self.options.jobs) as pool:
            yield from zip(chosen, pool.map(self._killer, chosen))


class Table:
    """results.tsv, which test noticed; and equivalent.tsv, which mutants change nothing, with the reason."""

    NOBODY = "-"

    def __init__(self, folder, everything):
        self.folder = folder
        self.everything = everything
        self.rows = {(path, key): by for path, key, by in self._read(RESULTS)}

    def _read(self, name):
        file = self.folder / name
        lines = file.read_text().splitlines() if file.exists() else []
        return [line.split("\t") for line in lines if line and not line.startswith("#")]

    def killer(self, mutant):
        by = self.rows.get((mutant.path, mutant.key))
        return None if by == self.NOBODY else by

    def note(self, mutant, killer):
        self.rows[mutant.path, mutant.key] = " ".join((killer or self.NOBODY).split())

    def equivalents(self):
        return {(path, key) for path, key, _ in self._read(EQUIVALENT)}

    def write(self):
        """A row for each mutant there is and that was ever run."""
        lines = []
        for mutant in self.everything:
            by = self.rows.get((mutant.path, mutant.key))
            if by is not None:
                lines.append("\t".join((mutant.path, mutant.key, by)))
        alive = sum(line.endswith("\t" + self.NOBODY) for line in lines)
        (self.folder / RESULTS).write_text(
            f"# {len(lines)} mutants: {len(lines) - alive} are noticed, {alive} are not: see {EQUIVALENT}.\n"
            "# header\tmutant\tnoticed by\n" + "".join(line + "\n" for line in lines))


def report(complete, chosen, killers, table):
    known = table.equivalents()
    survivors = {(mutant.path, mutant.key) for mutant, killer in zip(chosen, killers) if killer is None}
    unlisted = survivors - known
    # Known as equivalent, but killed, or gone: to be seen where all were tried.
    stale = known - survivors if complete else set()
    print(f"covered: {len(chosen)} mutants, {len(chosen) - len(survivors)} killed, "
          f"{len(survivors - unlisted)} equivalent, {len(unlisted)} unexplained")
    for path, key in sorted(unlisted):
        print(f"unexplained: {path}: {key}")
    for path, key in sorted(stale):
        print(f"{EQUIVALENT} has this, but it is killed, or gone: {path}: {key}")
    # The closing line that tools/test counts.
    failed = len(unlisted) + len(stale)
    print(f"{len(chosen) - len(unlisted)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ntools/mutate: interrupted")
