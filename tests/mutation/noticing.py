# SPDX-License-Identifier: MIT
"""Runs a doctest program of headers that may be broken, and says which test case noticed."""

import math
import os
import re
import resource
import signal
import subprocess
from dataclasses import dataclass

# Threads that race for real notice by luck.
LUCKY = "--test-case-exclude=*many?threads*,*page?lock?has?one?owner*,of?a?release?by?the?request?and?one?by?the?owner*"
# A run may use as many times the processor time of one without a mistake, and so many seconds. The rest is for one that
# sleeps for ever, on a machine that may have other work.
PATIENCE, GRACE, ASLEEP = 5, 5, 10
# Of processor time, for a run without a mistake.
MOST = 600


def noticed_by(program, seconds=MOST, cases=None, **environment):
    """The test case that fails, or None. `seconds` is how much processor time the run may take; `cases`, if not all."""
    command = ["prlimit", f"--cpu={seconds}", program, LUCKY, "--abort-after=1", "--no-version", "--no-colors=true"]
    if cases:
        # In a filter a comma parts two names.
        command.append("--test-case=" + ",".join(case.replace(",", "?") for case in cases))
    try:
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True,
                              errors="replace", timeout=seconds + ASLEEP)
    except subprocess.TimeoutExpired:
        return "does not end"
    if done.returncode == 0:
        return None
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        return "does not end"
    named = re.findall(r"^TEST CASE:\s*(.+)$", done.stdout, re.M)
    return named[-1].strip() if named else f"exit code {done.returncode}"


def allowed(used):
    """The processor time that a run with a mistake may take, of one that takes `used` without."""
    return GRACE + math.ceil(PATIENCE * used)


def without_a_mistake(program, **environment):
    """As noticed_by, and the processor time that a run with a mistake may take. Nothing else may run meanwhile."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    by = noticed_by(program, **environment)
    return by, allowed(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start)


@dataclass
class Case:
    name: str
    seconds: float  # of processor time
    reached: set  # numbers of mutants


def cases_of(program):
    """The test cases of a program that was made with mutation/main.cpp, or None if one fails."""
    done = subprocess.run([program, LUCKY, "--no-version"], env={**os.environ, "PINREF_MUTANT": "-2"},
                          capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        return None
    found = []
    for line in done.stderr.splitlines():
        if line.startswith("reached\t"):
            _, name, seconds, numbers = line.split("\t")
            found.append(Case(name, float(seconds), {int(number) for number in numbers.split(",")[:-1]}))
    return found
