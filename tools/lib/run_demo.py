# SPDX-License-Identifier: MIT
"""Builds pinref's example and a benchmark, runs both and prints one table."""

import argparse
import csv
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import bench_readme
import tool
from tool import run, say

# Heading, arguments, the exit code it must have.
JOBS = [
    ("main job", ["--seconds", "20"], 0),
    ("unregistered", ["--seconds", "5", "--engine", "uring"], 0),
    ("without pins", ["--seconds", "3", "--no-pins"], 1),
]
# The same of a pool whose processes are killed.
KILLED_JOBS = [
    ("workers killed", [], 0),
    ("nobody recovers", ["--no-ledger"], 1),
]
NOT_HERE = 77

SCHEMES = ["bias64", "linux_small", "linux_large"]
WORKLOADS = [("get+put 1T", "get_put", "t1"), ("2T", "get_put", "t2"),
             ("pin+unpin 1T", "pin_unpin", "t1"), ("2T", "pin_unpin", "t2")]


def build(root, folder):
    """Whether there is a benchmark, too; it needs Google Benchmark."""
    if not tool.configure(root, folder, os.environ.get("CXX", "c++"), ["-Dbuildtype=release", "-Dtests=disabled"]):
        sys.exit(1)
    if not run(["ninja", "-C", folder, "examples/uring_buffer_pool", "examples/shared_pool"]):
        sys.exit("building failed")
    return run(["ninja", "-C", folder, "bench/bench_words"])


def run_job(program, arguments):
    """The exit code, the rows of the report, and its last line, the verdict."""
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    rows = {line[2:38].rstrip(): line[38:60].strip() for line in lines if line.startswith("  ")}
    return done.returncode, rows, lines[-1] if lines else "no report"


def run_bench(program):
    """Ratio to one unchecked locked add and subtract by (workload, scheme, threads)."""
    done = subprocess.run(
        [program, "--rounds=20", "--benchmark_format=csv",
         f"--benchmark_filter=^(get_put|pin_unpin)/({'|'.join(SCHEMES)})/"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    table = done.stdout[done.stdout.find("name,"):]
    return {tuple(row["name"].split("/")[:3]): float(row["ratio"]) for row in csv.DictReader(io.StringIO(table))}


def print_row(name, cells, width=21, first=40):
    print(f"{name:<{first}}" + "".join(f"{cell:>{width}}" for cell in cells))


def with_commas(value):
    return f"{int(value):,}" if value.isdigit() else value


def print_pool(results):
    print_row("buffer pool, 256 MiB through 64 MiB", [heading for heading, _, _ in JOBS])
    names = dict.fromkeys(name for _, rows, _ in results for name in rows)
    for name in names:
        print_row("  " + name, [with_commas(rows.get(name, "-")) for _, rows, _ in results])
    print_row("  verdict", [verdict.split(":")[0] for _, _, verdict in results])


def print_bench(ratios):
    names = {scheme: words.translate(str.maketrans("", "", "*`")) for scheme, words in bench_readme.ROWS}
    print_row("time over one locked add and subtract", [heading for heading, _, _ in WORKLOADS], 15, 58)
    for scheme in SCHEMES:
        found = [ratios.get((workload, scheme, threads)) for _, workload, threads in WORKLOADS]
        print_row("  " + names[scheme], ["-" if ratio is None else f"{ratio:.2f}" for ratio in found], 15, 58)


def main():
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=os.path.abspath, help="where the pool's file goes")
    options = parser.parse_args()
    start = time.monotonic()

    folder = options.root / "build" / "demo"
    say("building")
    has_bench = build(options.root, folder)

    where = ["--directory", options.directory] if options.directory else []
    results = []
    for heading, arguments, _ in JOBS:
        say(f"buffer pool, {heading}: {' '.join(arguments)}")
        results.append(run_job(folder / "examples" / "uring_buffer_pool", [*arguments, *where]))
        code, _, verdict = results[-1]
        if code == NOT_HERE:
            sys.exit(verdict)

    killed = []
    for heading, arguments, _ in KILLED_JOBS:
        say(f"a pool of several processes, {' '.join([heading, *arguments])}")
        killed.append(subprocess.run([folder / "examples" / "shared_pool", *arguments, *where],
                                     stdout=subprocess.PIPE, text=True))

    ratios = {}
    if has_bench:
        say("a short benchmark; tools/bench has all of it")
        ratios = run_bench(folder / "bench" / "bench_words")

    print()
    print_pool(results)
    print()
    print("a pool of three processes that are killed")
    for line in killed[0].stdout.splitlines():
        print("  " + line)
    print()
    if ratios:
        print_bench(ratios)
    else:
        print("no benchmark: it was not built, or did not run")
    print()
    print("The kernel pins one page for each transfer, as pinref does; registered buffers once for all.")
    ended = results + [(done.returncode, None, (done.stdout.splitlines() or ["no report"])[-1]) for done in killed]
    jobs = JOBS + KILLED_JOBS
    good = all(code == wanted for (code, _, _), (_, _, wanted) in zip(ended, jobs))
    for (code, _, verdict), (heading, _, wanted) in zip(ended, jobs):
        print(f"{heading}: {' '.join(verdict.split())}" + ("" if code == wanted else f" (exit code {code} where {wanted} was expected)"))
    print(f"{'All as it should be' if good else 'NOT as it should be'}; {time.monotonic() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    tool.main("tools/demo", main)
