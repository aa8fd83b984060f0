# SPDX-License-Identifier: MIT
"""The numbers of README.md: one table and one plot, from a run of tools/bench --readme."""

import platform
import re
from pathlib import Path

import bench_report

COLUMNS = [
    ("get+put, 1 thread", "get_put", 1),
    ("2 threads", "get_put", 2),
    ("pin+unpin, 1 thread", "pin_unpin", 1),
    ("2 threads", "pin_unpin", 2),
    ("1M random pages, 1 thread", "random1m", 1),
    ("2 threads", "random1m", 2),
    ("look-up while pages are replaced, 1M, Zipf", "index_1m_zipf", 2),
]
ROWS = list(bench_report.NAMES.items())
PANELS = [("get and put", "get_put"), ("pin and unpin", "pin_unpin")]
THREADS = [1, 2]
NUMBERS = re.compile(r"<!-- numbers -->.*?<!-- /numbers -->", re.S)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def write(root, first, others):
    """Puts table and plot between the marks of README.md; the plot is docs/benchmarks.svg. Of other compilers than the
    first, one row each."""
    results = first.results

    def cells(measured, scheme):
        values = [measured.median(workload, scheme, threads) for _, workload, threads in COLUMNS]
        return ["-" if value is None else f"{value:.2f}" for value in values]

    rows = []
    for scheme, words in ROWS:
        rows.append((words, cells(results, scheme)))
        if scheme == "bias64":
            rows += [(f"{words}, {other.kind}", cells(other.results, scheme)) for other in others]
    rows = [row for row in rows if any(text != "-" for text in row[1])]
    table = ["| | " + " | ".join(title for title, _, _ in COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    table += [f"| {words} | " + " | ".join(cells) + " |" for words, cells in rows]
    facts = results.facts
    where = (f"{processor()}, {facts.get('num_cpus')} cores of a virtual machine, {first.command}, {facts.get('date', '')[:10]}. "
             "Time over that of the bare pair beside it; smaller is faster.")
    text = "\n".join(["<!-- numbers -->", where, "", *table, "",
                      "![Get and put, pin and unpin, by scheme and threads](docs/benchmarks.svg)", "",
                      "`tools/bench --readme` makes both anew.", "<!-- /numbers -->"])
    readme = root / "README.md"
    readme.write_text(NUMBERS.sub(lambda _: text, readme.read_text()))

    def found(workload, scheme, threads):
        value = results.median(workload, scheme, threads)
        return None if value is None else (value, *results.spread(workload, scheme, threads))

    plot = []
    for title, workload in PANELS:
        pairs = [(scheme, [found(workload, scheme, threads) for threads in THREADS]) for scheme, _ in ROWS]
        plot.append((title, [pair for pair in pairs if any(pair[1])]))
    write_picture(root, plot)


def write_picture(root, plot):
    picture = bench_report.bars(plot, ["1 thread", "2 threads"], one=True)
    (root / "docs" / "benchmarks.svg").write_text(bench_report.alone(picture) + "\n")
