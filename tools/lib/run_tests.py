"""Configures, builds and tests pinref in several builds and sums the results in one closing line."""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

RUNTIME_SUITES = ["unit", "explore", "kernel", "stress", "fuzz", "examples"]
PLAIN_SUITES = RUNTIME_SUITES + [
    "headers", "nocompile", "codegen", "lint", "consumers", "bench-smoke"]
LONG_SUITES = ["long"]

# A test program that counts its own cases says so in one of these lines; any other counts as one.
DOCTEST_LINE = re.compile(
    r"^\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|", re.M)
DRIVER_LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
# What such a program left out, and why.
SKIP_LINE = re.compile(r"^skipped: (.+)$", re.M)
ANSI_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Build:
    name: str
    compiler: str
    options: list
    suites: list
    wrapper: list = field(default_factory=list)


@dataclass
class Tally:
    passed: int = 0
    failures: list = field(default_factory=list)
    failed: int = 0
    skips: list = field(default_factory=list)

    def fail(self, what, count=1):
        self.failed += count
        self.failures.append(what)

    def count(self, build, record):
        """Adds one test of Meson's testlog.json, case by case where the program tells."""
        name = f"{build}: {record['name'].split(' / ')[-1]}"
        output = ANSI_COLOUR.sub("", record.get("stdout") or "")
        if record["result"] == "SKIP":
            lines = [line for line in output.splitlines() if line.strip()]
            self.skips.append(f"{name}: {lines[-1].strip() if lines else 'no reason given'}")
            return
        self.skips += [f"{name}: {skip}" for skip in SKIP_LINE.findall(output)]
        cases = DOCTEST_LINE.findall(output) or DRIVER_LINE.findall(output)
        passed, failed = (int(n) for n in cases[-1]) if cases else (1, 0)
        if record["result"] != "OK":
            self.passed += passed if cases else 0
            self.fail(f"{name}: {record['result'].lower()}", max(failed, 1))
        elif passed == 0:
            self.fail(f"{name}: ran no case")
        else:
            self.passed += passed

    def closing_line(self):
        line = f"{self.passed} passed, {self.failed} failed"
        return line + (f", {len(self.skips)} skipped" if self.skips else "")


def say(text):
    print(f"== {text}", flush=True)


def run(command):
    return subprocess.run([str(part) for part in command]).returncode == 0


def sanitizer_wrapper(compiler, sanitizer):
    """How a program built so can run here: [], a prefix that turns address randomization off, or None."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "probe")
        built = subprocess.run(
            [compiler, f"-fsanitize={sanitizer}", "-x", "c++", "-", "-o", program],
            input="int main() {}", text=True, capture_output=True)
        if built.returncode != 0:
            return None
        for wrapper in ([], ["setarch", platform.machine(), "-R"]):
            try:
                probe = subprocess.run([*wrapper, program], capture_output=True)
            except OSError:
                continue
            if probe.returncode == 0:
                return wrapper
    return None


def plan(suite, tally):
    """The builds that `suite` (None: the everyday ones) needs on this machine."""
    if suite is None:
        plain, sanitized = PLAIN_SUITES, RUNTIME_SUITES
    elif suite == "all":
        plain, sanitized = PLAIN_SUITES + LONG_SUITES, RUNTIME_SUITES
    else:
        plain, sanitized = [suite], [suite] if suite in RUNTIME_SUITES else []

    builds = []
    for name, compiler in (("gcc", "g++"), ("clang", "clang++")):
        if shutil.which(compiler):
            builds.append(Build(name, compiler, ["-Dauto_features=enabled"], plain))
        else:
            tally.skips.append(f"{name}: {compiler} is not installed")
    if not sanitized:
        return builds

    for name, sanitizer in (("asan-ubsan", "address,undefined"), ("tsan", "thread")):
        for compiler in ("clang++", "g++"):
            wrapper = sanitizer_wrapper(compiler, sanitizer) if shutil.which(compiler) else None
            if wrapper is not None:
                options = [f"-Db_sanitize={sanitizer}", "-Db_lundef=false", "-Dtests=enabled",
                           "-Dexamples=enabled", "-Dbench=disabled"]
                builds.append(Build(name, compiler, options, sanitized, wrapper))
                break
        else:
            tally.skips.append(f"{name}: no compiler here makes programs that run with it")
    return builds


def configure(root, build, folder):
    command = ["meson", "setup", folder, root, "-Dwerror=true", *build.options]
    os.environ["CXX"] = build.compiler
    if (folder / "build.ninja").exists():
        if run([*command, "--reconfigure"]):
            return True
        say(f"{build.name}: starting over")
    shutil.rmtree(folder, ignore_errors=True)
    return run(command)


def introspect(folder, what):
    return json.loads((folder / "meson-info" / f"intro-{what}.json").read_text())


def suites_of(test):
    return {suite.partition(":")[2] for suite in test["suite"]}


def compile_targets(folder, tests, everything):
    """Ninja's arguments for what `tests` run, or for the whole tree."""
    if everything:
        return []
    needed = {target for test in tests for target in test["depends"]}
    return [os.path.relpath(name, folder) for target in introspect(folder, "targets")
            if target["id"] in needed for name in target["filename"]]


def run_build(root, build, everything, jobs, tally):
    folder = root / "build" / build.name
    say(f"{build.name}: configuring ({build.compiler})")
    if not configure(root, build, folder):
        tally.fail(f"{build.name}: configuring")
        return

    wanted = [test for test in introspect(folder, "tests") if suites_of(test) & set(build.suites)]
    present = {suite for test in wanted for suite in suites_of(test)}
    for suite in build.suites:
        if suite not in present:
            tally.fail(f"{build.name}: suite {suite} has no test")
    if not wanted:
        return

    targets = compile_targets(folder, wanted, everything)
    if everything or targets:
        say(f"{build.name}: building")
        if not run(["ninja", "-C", folder, "-j", jobs, *targets]):
            tally.fail(f"{build.name}: building")
            return

    say(f"{build.name}: testing")
    log = folder / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    suites = [argument for suite in build.suites for argument in ("--suite", suite)]
    clean = run([*build.wrapper, "meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs",
                 "--num-processes", jobs, *suites])
    records = []
    if log.exists():
        records = [json.loads(line) for line in log.read_text().splitlines()]
    failed_before = tally.failed
    for record in records:
        tally.count(build.name, record)
    if len(records) != len(wanted):
        tally.fail(f"{build.name}: {len(wanted)} tests wanted, {len(records)} ran")
    if not clean and tally.failed == failed_before:
        tally.fail(f"{build.name}: meson test")


def main():
    every_suite = PLAIN_SUITES + LONG_SUITES
    parser = argparse.ArgumentParser(
        prog="tools/test", description="Builds pinref with g++, clang++ and sanitizers, and tests each build.")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--suite", choices=[*every_suite, "all"], metavar="NAME",
                        help="one of: " + ", ".join([*every_suite, "all"]))
    options = parser.parse_args()

    tally = Tally()
    start = time.monotonic()
    jobs = len(os.sched_getaffinity(0))
    everything = options.suite in (None, "all")
    for build in plan(options.suite, tally):
        begin = time.monotonic()
        run_build(options.root, build, everything, jobs, tally)
        say(f"{build.name}: done in {time.monotonic() - begin:.0f} s")

    if not tally.passed and not tally.failed:
        tally.fail("no test ran")
    say(f"all builds took {time.monotonic() - start:.0f} s")
    for reason in tally.skips:
        print(f"skipped {reason}")
    for what in tally.failures:
        print(f"FAILED {what}")
    print(tally.closing_line(), flush=True)
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
