# SPDX-License-Identifier: MIT
"""What hosted machines run is what everybody runs: .github/workflows holds jobs of legs, each with what it would catch.

Every command of the tools exists and accepts its arguments, and every suite and build that tools/test knows has a leg.
Actions are pinned to a commit, the token may only read, every job has a time limit, and a newer push ends an older run.
"""

import re
import shlex
import subprocess
import sys

import tree

try:
    import yaml
except ImportError:
    print("python3-yaml is not installed")
    sys.exit(77)

COMMAND = re.compile(r"""tools/(\w+)((?:[ \t]+(?:--?[\w=+./-]+|"[^"]*"|[\w+./-]+))*)""")
STEP = "Catches: ${{ matrix.catches }}"
ENOUGH_TO_SAY = 20


def commands(text):
    """(tool, arguments) of each call of a tool."""
    for line in text.splitlines():
        for tool, arguments in COMMAND.findall(line.split(" #")[0]):
            yield tool, shlex.split(arguments)


def legs_of(jobs):
    for name, job in jobs.items():
        for leg in job.get("strategy", {}).get("matrix", {}).get("include", []):
            yield name, leg


def check_job(name, job):
    if "timeout-minutes" not in job:
        yield f"{name}: no timeout-minutes"
    if "permissions" in job:
        yield f"{name}: permissions are those of the file"
    steps = job.get("steps", [])
    if not any(step.get("name") == STEP and step.get("run") == "${{ matrix.run }}" for step in steps):
        yield f"{name}: no step of a leg, named {STEP!r}"
    for step in steps:
        action = step.get("uses", "")
        if action and not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action):
            yield f"{name}: {action} is not pinned to a commit"
        if action.startswith("actions/checkout@") and step.get("with", {}).get("persist-credentials") is not False:
            yield f"{name}: the checkout leaves the token behind"
    if not job.get("strategy", {}).get("matrix", {}).get("include"):
        yield f"{name}: no legs"


def check_command(root, where, tool, arguments, run_tests):
    path = root / "tools" / tool
    if not path.is_file():
        yield f"{where}: there is no tools/{tool}"
        return
    options = [word for i, word in enumerate(arguments) if word.startswith("-") or (i and arguments[i - 1].startswith("--"))]
    said = subprocess.run([path, *options, "--help"], text=True, stdin=subprocess.DEVNULL, capture_output=True)
    if said.returncode != 0:
        yield f"{where}: tools/{tool} does not know {' '.join(options)}"
    elif len(options) != len(arguments) and "[" not in said.stdout:
        yield f"{where}: tools/{tool} takes no {' '.join(arguments)}"
    given = dict(zip(arguments, arguments[1:]))
    if tool == "test":
        if (suite := given.get("--suite")) and suite not in run_tests.EVERY_SUITE:
            yield f"{where}: no suite {suite}"
        if (build := given.get("--build")) and f'"{build}"' not in (root / "tools/lib/run_tests.py").read_text():
            yield f"{where}: no build {build}"


def check_all_run(ran, run_tests):
    """`ran` has (suite, build) of every call of tools/test, each may be None."""
    suites = {suite for suite, _ in ran}
    everyday = run_tests.PLAIN_SUITES if None in suites else []
    for suite in run_tests.EVERY_SUITE:
        if suite not in suites and suite not in everyday:
            yield f"no leg runs suite {suite}"
    # As far as they can be built on this machine.
    for suite in [each for each in (None, *run_tests.BUILD_SUITES) if each in suites]:
        for build in run_tests.plan(suite, run_tests.Tally()):
            own = build.name.removeprefix(f"{suite} ")
            if not {(suite, None), (suite, own), (suite, build.name)} & ran:
                yield f"no leg runs build {own} of {f'suite {suite}' if suite else 'the everyday tests'}"


def check(root):
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root / "tools" / "lib"))
    import run_tests

    ran = set()
    files = sorted((root / ".github" / "workflows").glob("*.yml"))
    if not files:
        yield "no .github/workflows/*.yml"
        return
    for path in files:
        name = path.relative_to(root)
        try:
            file = yaml.safe_load(path.read_text())
        except yaml.YAMLError as error:
            yield f"{name}: {' '.join(str(error).split())}"
            continue
        if file.get("permissions") != {"contents": "read"}:
            yield f"{name}: permissions are not `contents: read` alone"
        if not file.get("concurrency", {}).get("cancel-in-progress"):
            yield f"{name}: no concurrency that ends an older run"
        for job, what in file["jobs"].items():
            yield from (f"{name}: {finding}" for finding in check_job(job, what))
        for job, leg in legs_of(file["jobs"]):
            where = f"{name}: {job}, {leg.get('leg', 'a leg without a name')}"
            if len(leg.get("catches", "")) < ENOUGH_TO_SAY:
                yield f"{where}: does not say what it catches"
            called = list(commands(leg.get("run", "")))
            if not called:
                yield f"{where}: runs no tool"
            for tool, arguments in called:
                yield from check_command(root, where, tool, arguments, run_tests)
                if tool == "test":
                    given = dict(zip(arguments, arguments[1:]))
                    ran.add((given.get("--suite"), given.get("--build")))
    yield from check_all_run(ran, run_tests)


if __name__ == "__main__":
    tree.main(__doc__, check)
