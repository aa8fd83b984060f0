# SPDX-License-Identifier: MIT
"""tools/docs makes the site of a copy of the tree, in a folder with a blank in its name, and says nothing against it; and
what is wrong with the tree's pages is said before anything is made.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "lib"), str(ROOT / "tests" / "packages")]

import release_tree  # noqa: E402  which finds tests/support
import bench_report  # noqa: E402
import run_bench  # noqa: E402

# A page, and what must be in it.
PAGES = {
    "index.html": "page_dma_pinned",
    "docs/tour.html": "What I may do, what I owe",
    "api.html": ">page_dma_pinned</code></a>",
    "examples/index.html": "uring_buffer_pool",
    "examples/uring_buffer_pool/main.cpp.html": "--no-pins",
    "plots.html": "docs/benchmarks.svg",
    "bench/bench.html": "compare-and-swap loop, as Linux&#x27;s small pages",
    "reference/index.html": "doxygen-awesome.css",
    "reference/classpinref_1_1page__ref.html": "try_pin",
    "explorer/index.html": "explorer",
    "404.html": "404",
}
# File, what is done to it, what must be said.
MISTAKES = [
    ("docs/tour.md", ("(design.md)", "(lost.md)"), r"docs/tour\.md:\d+: lost\.md is not there"),
    ("README.md", ("docs/tour.md)", "docs/tour.md#lost)"), r"README\.md:\d+: docs/tour\.md#lost: the page has no such heading"),
    ("docs/c.md", None, r"docs/c\.md is not there"),
    ("docs/site/mkdocs.yml", ("      - Allocators: docs/allocators.md\n", ""), r"allocators\.md: is not in docs/site"),
    ("docs/benchmarks.svg", None, r"docs/benchmarks\.svg is not there"),
]


def report():
    """A report of made-up numbers, with every kind of plot."""
    results = run_bench.Results()
    schemes = ["bare", "by_hand", "linux_small", "bias32", "bias64", "hot", "std_weak_lock"]
    workloads = ["get_put", "pin_unpin", "pool_64k", "query", "range_4k_1", "range_4k_512", "dirty_clean", "random4k",
                 "random1m", "index_4k_zipf", "dead_share_0", "dead_share_90"]
    for i, workload in enumerate(workloads):
        for k, scheme in enumerate(schemes):
            value = 1 + 0.01 * i + 0.3 * k
            for threads in (1, 2):
                results.runs[workload, scheme, threads].append(
                    {"ratio": value, "low": 0.9 * value, "high": 1.1 * value, "ns": 9 * value * threads})
    results.facts.update(num_cpus=2, mhz_per_cpu=2000, date="2026-01-01", bytes_per_page_bias32=4, bytes_per_page_bias64=8,
                         absent="dpdk_mbuf")
    return bench_report.page(results, {"atomic": 0.2, "pinref": 0.6}, "g++")


def check(steps):
    tree = steps.folder / "a tree"
    release_tree.copy_tree(steps.root, tree)
    (tree / "build/bench").mkdir(parents=True)
    (tree / "build/bench/report.html").write_text(report())
    command = [sys.executable, "-B", tree / "tools/lib/run_docs.py", "--root", tree]

    for name, change, because in MISTAKES:
        file = tree / name
        text = file.read_text()
        if change:
            steps.judge(f"{name} has what is changed", change[0] in text)
            file.write_text(text.replace(*change))
        else:
            file.unlink()
        steps.refused(f"refused: {name} {'changed' if change else 'gone'}", because, *command)
        file.write_text(text)

    said = steps.succeeds("the site", *command)
    last = re.search(r"^(\d+) pages, (\d+) links checked, (\d+) pages opened, 0 wrong, \d+ s$", said, re.M)
    steps.judge("counts", last is not None, said)
    pages, links, opened = map(int, last.groups()) if last else (0, 0, 0)
    for line in re.findall(r"^skipped: .*", said, re.M):
        print(line)
    steps.judge("links were checked", links > pages > len(PAGES), said)
    steps.judge("all pages were opened, or it says why not", opened == pages or "skipped: no page was opened" in said, said)

    site = tree / "build/site"
    for name, words in PAGES.items():
        steps.judge(f"{name} has {words}", (site / name).is_file() and words in (site / name).read_text())
    index = site / "search/search_index.json"
    found = json.loads(index.read_text())["docs"] if index.is_file() else []
    places = {each["location"].split("#")[0] for each in found if "page_dma_pinned" in each["text"]}
    steps.judge("the search has page_dma_pinned", {"docs/tour.html", "api.html"} <= places, places)
    steps.judge("the search has no sources", not any(".cpp" in each["location"] for each in found))
    outside = tree / "build/docs/external-links.txt"
    steps.judge("external links are listed", outside.is_file() and "https://" in outside.read_text())


if __name__ == "__main__":
    release_tree.main(__doc__, ["mkdocs", "doxygen"], check)
