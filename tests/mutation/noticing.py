"""Runs a doctest program of headers that may be broken, and says which test case noticed."""

import math
import os
import re
import resource
import signal
import subprocess

# Threads that race for real notice by luck.
LUCKY = "--test-case-exclude=*many?threads*,*page?lock?has?one?owner*,of?a?release?by?the?request?and?one?by?the?owner*"
# A run may use as many times the processor time of one without a mistake, and so many seconds. The rest is for one that
# sleeps for ever, on a machine that may have other work.
PATIENCE, GRACE, ASLEEP = 5, 5, 10
# Of processor time, for a run without a mistake.
MOST = 600


def noticed_by(program, seconds=MOST, **environment):
    """The test case that fails, or None. `seconds` is how much processor time the run may take."""
    command = ["prlimit", f"--cpu={seconds}", program, LUCKY, "--abort-after=1", "--no-version", "--no-colors=true"]
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


def without_a_mistake(program, **environment):
    """As noticed_by, and the processor time that a run with a mistake may take. Nothing else may run meanwhile."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    by = noticed_by(program, **environment)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start
    return by, GRACE + math.ceil(PATIENCE * used)
