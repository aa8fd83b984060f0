# SPDX-License-Identifier: MIT
"""Runs commands on a terminal of their own, interrupts them, and finds what they leave behind."""

import os
import pty
import re
import select
import signal
import time
from dataclasses import dataclass
from pathlib import Path

MARK = "PINREF_PLACE"


@dataclass
class When:
    """Something to do to a command once it has printed `said` and runs a program whose command line has `runs`."""
    said: str
    runs: str
    number: int = None  # of a signal; ^C is typed if there is none


def started_by(mark):
    """{pid: command line} of all processes that carry the mark in their environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            pass  # it has ended, or is somebody else's
    return found


def left_over(mark, seconds):
    """What has not ended after that long; it is killed."""
    end = time.monotonic() + seconds
    while (left := started_by(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    for pid in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return list(left.values())


def run(command, cwd, environment, mark, when=None, limit=300):
    """The exit code and what was printed. The code is None if the command had to be killed at the limit."""
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(cwd)
            os.execvpe(str(command[0]), [str(part) for part in command], {**environment, MARK: mark})
        finally:
            os._exit(127)
    printed, end, in_time = "", time.monotonic() + limit, True
    while True:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break  # as Linux says that nobody has the terminal open any more
            if not data:
                break
            printed += data.decode(errors="replace")
        if when and re.search(when.said, printed) and any(re.search(when.runs, line) for line in started_by(mark).values()):
            if when.number:
                os.kill(pid, when.number)
            else:
                os.write(terminal, b"\x03")
            when = None
        if in_time and time.monotonic() > end:
            in_time = False
            left_over(mark, 0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return (code if in_time and not when else None), printed
