# SPDX-License-Identifier: MIT
"""Configures, builds and tests pinref in several builds and sums the results in one closing line."""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import tool
from tool import run, say

# Half of the time of a run is compiling.
QUICK_TO_BUILD = ["-Doptimization=1", "-Ddebug=false"]
# Nothing for ThreadSanitizer to see: the explorer runs its threads as fibers of one, and it sees no other process.
ONE_THREAD_SUITES = ["explore", "explorer", "fuzz", "share"]
RUNTIME_SUITES = ["unit", "explore", "explorer", "kernel", "share", "c", "stress", "fuzz", "examples"]
PLAIN_SUITES = RUNTIME_SUITES + [
    "fabric", "headers", "nocompile", "codegen", "lint", "style", "consumers", "plugins", "bench-smoke"]
LONG_SUITES = ["long"]

# Suites that are builds of their own, of these suites of Meson. They are not part of an everyday run.
DETERMINISTIC_SUITES = ["unit", "explore"]
BUILD_SUITES = ["elsewhere", "platforms", "valgrind", "coverage", "mutation", "bugs", "debian", "dist", "docs", "guest",
                "places"]
EVERY_SUITE = PLAIN_SUITES + LONG_SUITES + BUILD_SUITES
# For which there is a cross file: what they need on top of the everyday programs.
CROSS_FILES = Path(__file__).resolve().parents[2] / "tests" / "elsewhere"
ARCHITECTURES = {
    "aarch64": ["aarch64-linux-gnu-g++", "qemu-aarch64"],
    "riscv64": ["clang++", "riscv64-linux-gnu-g++", "qemu-riscv64"],
    "s390x": ["s390x-linux-gnu-g++", "qemu-s390x"],
    "armhf": ["arm-linux-gnueabihf-g++", "qemu-arm"],
    "i386": [],
}
NOTHING_TO_RUN = 77
# Of those that Debian 12 and its updates have.
NEWEST_CLANG = next((f"clang++-{version}" for version in range(30, 14, -1) if shutil.which(f"clang++-{version}")),
                    "clang++-19")

# A test program that counts its own cases says so in one of these lines; any other counts as one.
DOCTEST_LINE = re.compile(
    r"^\[doctest\] test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|", re.M)
DRIVER_LINE = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
# What a program ran through, by its own count.
COVERED_LINE = re.compile(r"^covered: (.+)$", re.M)
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
    test_options: list = field(default_factory=list)
    folder: str = ""  # the name, if not said
    part: bool = False  # only what the suites run is ever built of it


@dataclass
class Tally:
    passed: int = 0
    failures: list = field(default_factory=list)
    failed: int = 0
    skips: list = field(default_factory=list)
    covered: list = field(default_factory=list)

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
        self.covered += [f"{name}: {what}" for what in COVERED_LINE.findall(output)]
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


def compiles(command):
    """Whether it makes a program of the standard library, headers of the kernel included."""
    text = "#include <atomic>\n#include <linux/futex.h>\nint main() {}"
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run([*command, "-x", "c++", "-", "-o", Path(folder, "probe")],
                              input=text, text=True, capture_output=True).returncode == 0


def plan_elsewhere(tally):
    """Other processors: cross compilers and an emulator, or this one's 32-bit mode."""
    options = ["-Doptimization=1", "-Ddebug=false", "-Dtests=enabled", "-Dexamples=disabled", "-Dbench=disabled"]
    for name, programs in ARCHITECTURES.items():
        missing = [program for program in programs if not shutil.which(program)]
        if missing:
            tally.skips.append(f"elsewhere {name}: {' and '.join(missing)} not installed")
        elif name == "i386" and not (platform.machine() == "x86_64" and compiles(
                ["g++", "-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"])):
            tally.skips.append("elsewhere i386: g++ -m32 makes no program here")
        else:
            yield Build(f"elsewhere {name}", "g++", [*options, f"--cross-file={CROSS_FILES / name}.ini"],
                        DETERMINISTIC_SUITES, test_options=["--timeout-multiplier", "10"],
                        folder=f"elsewhere-{name}", part=True)


def plan_platforms(tally):
    """This machine with other compilers, another standard library, a newer C++, and link-time optimization."""
    yield Build("gcc", "g++", ["-Dauto_features=enabled"], ["platforms"], part=True)
    options = ["-Ddebug=false", "-Dtests=enabled", "-Dexamples=disabled", "-Dbench=disabled"]
    libcxx = ["-Dcpp_args=-stdlib=libc++", "-Dcpp_link_args=-stdlib=libc++"]
    for name, compiler, more in (
            ("libc++", "clang++", ["-Doptimization=1", *libcxx]),
            ("newest clang", NEWEST_CLANG, ["-Doptimization=1"]),
            # Meson 1.0 does not know the name.
            ("c++23", "g++", ["-Doptimization=1", "-Dcpp_std=none", "-Dcpp_args=-std=c++23"]),
            ("lto", "g++", ["-Doptimization=3", "-Db_lto=true"])):
        if not shutil.which(compiler):
            tally.skips.append(f"platforms {name}: {compiler} is not installed")
        elif "libc++" in name and not compiles([compiler, "-stdlib=libc++"]):
            tally.skips.append(f"platforms {name}: libc++-dev and libc++abi-dev are not installed")
        else:
            yield Build(f"platforms {name}", compiler, [*options, *more], ["unit", "c"],
                        folder=f"platforms-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}", part=True)


def plan_extra(suite, tally):
    """The builds of one of BUILD_SUITES."""
    everyday = ["-Dauto_features=enabled", *QUICK_TO_BUILD]
    if suite == "elsewhere":
        yield Build("gcc", "g++", everyday, ["elsewhere"], part=True)
        yield from plan_elsewhere(tally)
        tally.skips.append("elsewhere: the cases that tests/meson.build calls long_and_nothing_new, which run natively only")
        return
    if suite in ("mutation", "bugs", "debian", "dist", "docs", "guest", "places"):
        yield Build("gcc", "g++", everyday, [suite], part=True)
        return
    if suite == "platforms":
        yield from plan_platforms(tally)
        return
    needed = ["g++", "gcov" if suite == "coverage" else "valgrind"]
    missing = [program for program in needed if not shutil.which(program)]
    if missing:
        tally.skips.append(f"{suite}: {' and '.join(missing)} not installed")
    elif suite == "valgrind":
        yield Build("valgrind", "g++", everyday, ["unit"], test_options=["--setup", "valgrind"],
                    folder="gcc", part=True)
    else:
        # Optimization moves the counts of what it has folded or inlined to other lines.
        yield Build("coverage", "g++", ["-Db_coverage=true", "-Doptimization=0", "-Ddebug=false", "-Dtests=enabled",
                                        "-Dexamples=disabled", "-Dbench=disabled"],
                    [*DETERMINISTIC_SUITES, "coverage"], part=True)


def plan(suite, tally):
    """The builds that `suite` (None: the everyday ones) needs on this machine."""
    if suite in BUILD_SUITES:
        return list(plan_extra(suite, tally))
    if suite is None:
        plain, sanitized = PLAIN_SUITES, RUNTIME_SUITES
    elif suite == "all":
        plain, sanitized = PLAIN_SUITES + LONG_SUITES, RUNTIME_SUITES
    else:
        plain, sanitized = [suite], [suite] if suite in RUNTIME_SUITES else []

    builds = []
    for name, compiler in (("gcc", "g++"), ("clang", "clang++")):
        if shutil.which(compiler):
            builds.append(Build(name, compiler, ["-Dauto_features=enabled", *QUICK_TO_BUILD], plain))
        else:
            tally.skips.append(f"{name}: {compiler} is not installed")
    if not sanitized:
        return builds

    for name, sanitizer in (("asan-ubsan", "address,undefined"), ("tsan", "thread")):
        for compiler in ("clang++", "g++"):
            wrapper = sanitizer_wrapper(compiler, sanitizer) if shutil.which(compiler) else None
            if wrapper is not None:
                options = [f"-Db_sanitize={sanitizer}", "-Db_lundef=false", "-Dtests=enabled",
                           "-Dexamples=enabled", "-Dbench=disabled", *QUICK_TO_BUILD]
                suites = [each for each in sanitized if name != "tsan" or each not in ONE_THREAD_SUITES]
                if suites:
                    builds.append(Build(name, compiler, options, suites, wrapper, part=True))
                break
        else:
            tally.skips.append(f"{name}: no compiler here makes programs that run with it")
    if suite == "all":
        for each in BUILD_SUITES:
            builds += plan_extra(each, tally)
    return builds


def configure(root, build, folder):
    os.environ["CXX"] = build.compiler
    os.environ["CC"] = build.compiler.replace("clang++", "clang").replace("g++", "gcc")
    return tool.configure(root, folder, build.compiler, ["-Dwerror=true", *build.options])


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
    folder = root / "build" / (build.folder or build.name)
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

    everything = everything and not build.part
    targets = compile_targets(folder, wanted, everything)
    if everything or targets:
        say(f"{build.name}: building")
        if not run(["ninja", "-C", folder, "-j", jobs, *targets]):
            tally.fail(f"{build.name}: building")
            return

    say(f"{build.name}: testing")
    logs = folder / "meson-logs"
    for old in logs.glob("testlog*.json"):
        old.unlink()
    suites = [argument for suite in build.suites for argument in ("--suite", suite)]
    clean = run([*build.wrapper, "meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs",
                 "--num-processes", jobs, *build.test_options, *suites])
    records = [json.loads(line) for log in logs.glob("testlog*.json") for line in log.read_text().splitlines()]
    failed_before = tally.failed
    for record in records:
        tally.count(build.name, record)
    if len(records) != len(wanted):
        tally.fail(f"{build.name}: {len(wanted)} tests wanted, {len(records)} ran")
    if not clean and tally.failed == failed_before:
        tally.fail(f"{build.name}: meson test")


def main():
    parser = argparse.ArgumentParser(
        prog="tools/test", description="Builds pinref with g++, clang++ and sanitizers, and tests each build.")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--suite", choices=[*EVERY_SUITE, "all"], metavar="NAME",
                        help="one of: " + ", ".join([*EVERY_SUITE, "all"]))
    parser.add_argument("--build", metavar="NAME", help="only one of the builds that this takes, as they are named in the log")
    options = parser.parse_args()

    tally = Tally()
    start = time.monotonic()
    jobs = len(os.sched_getaffinity(0))
    everything = options.suite in (None, "all")
    builds = plan(options.suite, tally)
    if options.build:
        names = [build.name for build in builds]
        builds = [build for build in builds if options.build in (build.name, build.name.removeprefix(f"{options.suite} "))]
        if not builds:
            tally.fail(f"no build {options.build}: there are {', '.join(names) or 'none'}")
    for build in builds:
        begin = time.monotonic()
        run_build(options.root, build, everything, jobs, tally)
        say(f"{build.name}: done in {time.monotonic() - begin:.0f} s")

    nothing_to_run = not tally.passed and not tally.failed
    if nothing_to_run and options.suite not in BUILD_SUITES:
        tally.fail("no test ran")
    say(f"all builds took {time.monotonic() - start:.0f} s")
    for what in tally.covered:
        print(f"covered {what}")
    for reason in tally.skips:
        print(f"skipped {reason}")
    for what in tally.failures:
        print(f"FAILED {what}")
    print(tally.closing_line(), flush=True)
    return 1 if tally.failed else NOTHING_TO_RUN if nothing_to_run else 0


if __name__ == "__main__":
    tool.main("tools/test", main)
