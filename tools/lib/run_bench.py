# SPDX-License-Identifier: MIT
"""Builds the benchmarks with optimisation and every compiler, runs them several times over and prints the ratios."""

import argparse
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import bench_readme
import bench_report
import tool
from tool import say

PROGRAMS = ["words", "lookups", "pool", "ranges", "regcache", "share", "c_pairs", "peers"]

# Key of --json: (workload, scheme, threads, counter). The counter ratio is time over that of the bare pair; the counter
# over is time over that of pinref's own way, or, for ranges, over that of the loop by hand.
KEYS = {
    "get_put_t1_vs_bare": ("get_put", "bias64", 1, "ratio"),
    "pin_unpin_t1_vs_bare": ("pin_unpin", "bias64", 1, "ratio"),
    "get_put_t2_vs_bare": ("get_put", "bias64", 2, "ratio"),
    "mixed_t2_vs_bare": ("mixed", "bias64", 2, "ratio"),
    "linux_small_pin_t1_over_pinref": ("pin_unpin", "linux_small", 1, "over"),
    "linux_small_pin_t2_over_pinref": ("pin_unpin", "linux_small", 2, "over"),
    "split_pin_t1_over_pinref": ("pin_unpin", "split", 1, "over"),
    "split_pin_t2_over_pinref": ("pin_unpin", "split", 2, "over"),
    "cas_get_t2_over_pinref": ("get_put", "linux_small", 2, "over"),
    "cas_random1m_t1_over_pinref": ("random1m", "linux_small", 1, "over"),
    "cas_random1m_t2_over_pinref": ("random1m", "linux_small", 2, "over"),
    "cas_random64k_t2_over_pinref": ("random64k", "linux_small", 2, "over"),
    "dead_get_t1_vs_bare": ("dead", "bias64", 1, "ratio"),
    "dead_scan_t1_vs_bare": ("dead", "bias64_scan", 1, "ratio"),
    "dead_scan_t2_vs_bare": ("dead", "bias64_scan", 2, "ratio"),
    "last_put_vs_bare": ("last_put", "bias64", 1, "ratio"),
    "sole_put_vs_bare": ("last_put", "bias64_sole", 1, "ratio"),
    "range512_per_page_vs_bare": ("range_2m_512", "bias64_folio", 1, "ratio"),
    "batch32_cas_over_pinref": ("batch32", "linux_small", 1, "over"),
    "hot_get_put_t1_vs_bare": ("get_put", "hot", 1, "ratio"),
    "hot_get_put_t2_vs_bare": ("get_put", "hot", 2, "ratio"),
    "weak_lock_t1_over_pinref": ("get_put", "std_weak_lock", 1, "over"),
    "weak_lock_t2_over_pinref": ("get_put", "std_weak_lock", 2, "over"),
    "liburcu_t1_over_pinref": ("get_put", "liburcu", 1, "over"),
    "gup_4k_vs_handwritten": ("range_4k_512", "bias64", 1, "over"),
    "gup_1_vs_handwritten": ("one_page", "bias64", 1, "over"),
    "dma_pinned_t1_vs_bare": ("query", "bias64", 1, "ratio"),
    "extent_1mib_vs_try_pin": ("extent_1m", "bias64", 1, "over"),
    "freeze_range_512_per_page_vs_bare": ("freeze_512", "bias64", 1, "ratio"),
    "hostbits_pin_unpin_over_plain": ("pin_unpin", "bias64_host_bits", 1, "over"),
    "optimistic_read_hot_1t_over_vmcache": ("pool_hot_vmcache", "page_stamp", 1, "over"),
    "optimistic_read_hot_2t_vs_pin_unpin": ("pool_hot", "page_stamp", 2, "over"),
    "pg17_hit_1t_over_pinref": ("pool_64k", "pg17", 1, "over"),
    "pg17_hit_2t_over_pinref": ("pool_64k", "pg17", 2, "over"),
    "pg17_hit_hot_2t_over_pinref": ("pool_hot", "pg17", 2, "over"),
    "pg17_locked_hit_1t_over_pinref": ("pool_64k", "pg17_locked", 1, "over"),
    "pg19_hit_1t_over_pinref": ("pool_64k", "pg19", 1, "over"),
    "pg19_hit_hot_2t_over_pinref": ("pool_hot", "pg19", 2, "over"),
    "regcache_hit_1t_vs_bare": ("regcache_one", "registration_cache", 1, "ratio"),
    "regcache_hit_1t_mutex_over_pinref": ("regcache_one", "mutex_and_count", 1, "over"),
    "regcache_hit_1t_ucx_over_pinref": ("regcache_one", "ucx_rcache", 1, "over"),
    "regcache_hit_1t_1000_ucx_over_pinref": ("regcache_1000", "ucx_rcache", 1, "over"),
    "regcache_hit_2t_ucx_over_pinref": ("regcache_one", "ucx_rcache", 2, "over"),
    "regcache_hit_2t_own_ucx_over_pinref": ("regcache_own", "ucx_rcache", 2, "over"),
    "regcache_hit_2t_1000_ucx_over_pinref": ("regcache_1000", "ucx_rcache", 2, "over"),
    "regcache_hit_1t_libfabric_over_pinref": ("regcache_one", "libfabric_cache", 1, "over"),
    "regcache_hit_1t_1000_libfabric_over_pinref": ("regcache_1000", "libfabric_cache", 1, "over"),
    "regcache_hit_2t_libfabric_over_pinref": ("regcache_one", "libfabric_cache", 2, "over"),
    "regcache_hit_2t_own_libfabric_over_pinref": ("regcache_own", "libfabric_cache", 2, "over"),
    "regcache_hit_2t_1000_libfabric_over_pinref": ("regcache_1000", "libfabric_cache", 2, "over"),
    "ledger_pin_unpin_over_plain": ("ledger_pin_unpin", "ledger", 1, "over"),
    "ledger_1000_holds_pin_unpin_over_plain": ("ledger_pin_unpin_1000_holds", "ledger", 1, "over"),
    "ledger_64k_pin_unpin_over_plain": ("ledger_pin_unpin_64k", "ledger", 1, "over"),
    "ledger_64k_1000_holds_pin_unpin_over_plain": ("ledger_pin_unpin_64k_1000_holds", "ledger", 1, "over"),
    "ledger_by_page_pin_unpin_over_plain": ("ledger_pin_unpin_1000_holds", "ledger_by_page", 1, "over"),
    "place_is_pin_over_plain": ("ledger_pin_unpin", "place_is_pin", 1, "over"),
    "place_is_pin_64k_over_plain": ("ledger_pin_unpin_64k", "place_is_pin", 1, "over"),
    "place_is_pin_fences_over_plain": ("ledger_pin_unpin", "place_is_pin_fences", 1, "over"),
    "ledger_question_ns": ("ledger_question", "ledger", 1, "ns"),
    "place_is_pin_question_64_ns": ("ledger_question", "place_is_pin", 1, "ns"),
    "place_is_pin_question_64_2t_ns": ("ledger_question", "place_is_pin", 2, "ns"),
    "iceoryx2_way_over_plain": ("ledger_pin_unpin", "iceoryx2_way", 1, "over"),
    "c_pair_vs_bare": ("c_get_put", "c", 1, "ratio"),
    "c_call_pair_vs_bare": ("c_get_put", "c_call", 1, "ratio"),
    "c_pin_pair_vs_bare": ("c_pin_unpin", "c", 1, "ratio"),
    "c_call_pin_pair_vs_bare": ("c_pin_unpin", "c_call", 1, "ratio"),
    "recover_1000_holds_ns": ("recover_1000_holds", "recover", 1, "ns"),
    "kill_to_reuse_ns": ("kill_to_reuse", "fork_kill_recover", 1, "ns"),
}
# Of two whose order in a round matters: the geometric mean of one over the other, and of the inverse of the other way.
BOTH_WAYS = {
    "optimistic_read_1t_over_vmcache": (("pool_64k_vmcache", "page_stamp", 1, "over"),
                                        ("pool_64k_page_stamp", "vmcache", 1, "over")),
}
FACTS = ["range_pin_atomics_1_page", "range_pin_atomics_512_pages", "bytes_per_page_bias64", "bytes_per_page_bias32"]

# Columns of the table: two lines of heading, workload, threads.
COLUMNS = [
    ("get+put", "1T", "get_put", 1),
    ("get+put", "2T", "get_put", 2),
    ("pin+unpin", "1T", "pin_unpin", 1),
    ("pin+unpin", "2T", "pin_unpin", 2),
    ("get, pin", "2T", "mixed", 2),
    ("64k pages", "1T", "random64k", 1),
    ("64k pages", "2T", "random64k", 2),
    ("1M pages", "1T", "random1m", 1),
    ("1M pages", "2T", "random1m", 2),
    ("32 of 1M", "1T", "batch32", 1),
    ("prefetched", "1T", "batch32_prefetched", 1),
    ("4k uniform", "2T", "index_4k_uniform", 2),
    ("4k zipf", "2T", "index_4k_zipf", 2),
    ("1M uniform", "2T", "index_1m_uniform", 2),
    ("1M zipf", "2T", "index_1m_zipf", 2),
    ("vs. freeing", "2T", "lookup_freed", 2),
    ("pinned?", "1T", "query", 1),
    ("pinned?", "2T", "query", 2),
    ("dead page", "1T", "dead", 1),
    ("dead page", "2T", "dead", 2),
    ("last put", "1T", "last_put", 1),
    ("one life", "1T", "one_life", 1),
    ("90 % dead", "1T", "dead_share_90", 1),
    ("90 % dead", "2T", "dead_share_90", 2),
    ("pool 64k", "1T", "pool_64k", 1),
    ("pool 64k", "2T", "pool_64k", 2),
    ("pool hot", "1T", "pool_hot", 1),
    ("pool hot", "2T", "pool_hot", 2),
    ("evicting", "1T", "pool_evict", 1),
    ("evicting", "2T", "pool_evict", 2),
    ("one page", "1T", "one_page", 1),
    ("4K x 1", "1T", "range_4k_1", 1),
    ("4K x 16", "1T", "range_4k_16", 1),
    ("4K x 512", "1T", "range_4k_512", 1),
    ("4K x 32768", "1T", "range_4k_32768", 1),
    ("cold x 512", "1T", "range_cold_512", 1),
    ("2M x 1", "1T", "range_2m_1", 1),
    ("2M x 16", "1T", "range_2m_16", 1),
    ("2M x 512", "1T", "range_2m_512", 1),
    ("2M x 32768", "1T", "range_2m_32768", 1),
    ("freeze x 512", "1T", "freeze_512", 1),
    ("dirty: none", "1T", "dirty_clean", 1),
    ("dirty: half", "1T", "dirty_mixed", 1),
    ("dirty: all", "1T", "dirty_dirty", 1),
    ("1 MiB", "1T", "extent_1m", 1),
    ("64 MiB", "1T", "extent_64m", 1),
    ("a region", "1T", "regcache_one", 1),
    ("a region", "2T", "regcache_one", 2),
    ("own region", "2T", "regcache_own", 2),
    ("1000 regions", "1T", "regcache_1000", 1),
    ("1000 regions", "2T", "regcache_1000", 2),
    ("shared page", "1T", "ledger_pin_unpin", 1),
    ("shared 64k", "1T", "ledger_pin_unpin_64k", 1),
    ("shared: pinned?", "1T", "ledger_question", 1),
    ("shared: pinned?", "2T", "ledger_question", 2),
]

# Rows, baselines first. Schemes that a run reports and this list lacks, the real peers, come last.
ROWS = ["bare", "by_hand", "by_hand_flat", "linux_small", "linux_large", "split", "bias32", "bias64", "bias64_host_bits",
        "bias64_scan", "bias64_sole", "hot", "page_stamp", "vmcache", "pg17", "pg19", "pg17_locked", "pg19_locked",
        "bias64_slow", "bias64_by_run", "bias64_folio"]


class Progress:
    """One line that is written over on a terminal, a line now and then elsewhere."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.start = time.monotonic()
        self.shown = -10.0

    def step(self, what):
        self.done += 1
        elapsed = time.monotonic() - self.start
        line = f"   {100 * self.done // self.total:3d} %  {elapsed:4.0f} s  {what}"
        if sys.stdout.isatty():
            print(f"\r{line[:100]:<100}", end="\n" if self.done == self.total else "", flush=True)
        elif elapsed - self.shown >= 10 or self.done == self.total:
            self.shown = elapsed
            print(line, flush=True)


def build(root, folder, compiler, *more):
    c_compiler = {"g++": "gcc", "clang++": "clang"}.get(compiler, os.environ.get("CC", "cc"))
    environment = dict(os.environ, CXX=compiler, CC=c_compiler)
    options = ["-Doptimization=2", "-Ddebug=false", "-Db_ndebug=true",
               "-Dbench=enabled", "-Dtests=disabled", "-Dexamples=disabled", *more]
    if not tool.configure(root, folder, compiler, options, env=environment):
        sys.exit(1)
    if not tool.run(["ninja", "-C", folder, "-j", len(os.sched_getaffinity(0))], env=environment):
        sys.exit("building the benchmarks failed")


def names_of(program, arguments):
    listed = subprocess.run([program, *arguments, "--benchmark_list_tests=true"], text=True, capture_output=True, check=True)
    return listed.stdout.split()


def run_program(program, arguments, progress, label):
    """The parsed JSON of one process. One process is one placement of code, stack and pages."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        process = subprocess.Popen(
            [program, *arguments, f"--benchmark_out={out}", "--benchmark_out_format=json"],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            for line in process.stdout:
                name = line.split()[0] if line.split() else ""
                if "/manual_time" in name:
                    progress.step(f"{label}  {short(name)}")
            code = process.wait()
        except KeyboardInterrupt:
            process.kill()
            raise
        if code != 0:
            sys.exit(f"{program} failed")
        return json.loads(out.read_text())


def short(name):
    return "/".join(name.split("/")[:3])


def compile_ratio(root, compiler, pairs):
    """Processor seconds to compile pinref.hpp over those to compile <atomic>, from neighbouring runs."""
    with tempfile.TemporaryDirectory() as folder:
        def seconds(include):
            source = Path(folder, "include.cpp")
            source.write_text(f"#include {include}\n")
            command = [*compiler.split(), "-std=c++20", "-O2", f"-I{root / 'include'}", "-c", source, "-o", os.devnull]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds("<atomic>")
        seconds("<pinref/pinref.hpp>")
        times = [(seconds("<atomic>"), seconds("<pinref/pinref.hpp>")) for _ in range(pairs)]
    return {
        "ratio": statistics.median(ours / theirs for theirs, ours in times),
        "atomic": statistics.median(theirs for theirs, _ in times),
        "pinref": statistics.median(ours for _, ours in times),
    }


class Results:
    """Counters of every benchmark over all runs."""

    def __init__(self):
        self.runs = defaultdict(list)  # (workload, scheme, threads): [counters]
        self.errors = {}
        self.facts = {}

    def add(self, report):
        absent = {*self.absent(), *report["context"].get("absent", "").split()}
        self.facts.update(report["context"], absent=" ".join(sorted(absent)))
        for entry in report["benchmarks"]:
            workload, scheme, threads = short(entry["name"]).split("/")
            where = (workload, scheme, int(threads[1:]))
            if entry.get("error_occurred"):
                self.errors[where] = entry["error_message"]
            else:
                self.runs[where].append(entry)

    def median(self, workload, scheme, threads, counter="ratio"):
        values = [run[counter] for run in self.runs.get((workload, scheme, threads), []) if counter in run]
        return statistics.median(values) if values else None

    def spread(self, workload, scheme, threads):
        """Lowest first and highest third quartile of any run."""
        runs = self.runs[workload, scheme, threads]
        return min(run["low"] for run in runs), max(run["high"] for run in runs)

    def threads(self):
        return sorted({threads for _, _, threads in self.runs})

    def schemes(self):
        found = {scheme for _, scheme, _ in self.runs}
        return [name for name in ROWS if name in found] + sorted(found - set(ROWS))

    def absent(self):
        return self.facts.get("absent", "").split()


def number(value):
    if value >= 9.95:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.0995 else f"{value:.4f}" if value < 0.00995 else f"{value:.3f}"


def cell(results, workload, scheme, threads):
    middle = results.median(workload, scheme, threads)
    if middle is None:
        return "-"
    low, high = results.spread(workload, scheme, threads)
    return f"{number(middle)} ±{50 * (high - low) / middle:.0f}%"


def print_table(results, width):
    rows = results.schemes()
    first = max(map(len, [*rows, *results.absent()])) + 1
    more = [threads for threads in results.threads() if threads > 2]
    wanted = [column for top, bottom, workload, threads in COLUMNS
              for column in [(top, bottom, workload, threads),
                             *((top, f"{n}T", workload, n) for n in more if threads == 2)]]
    columns = [(top, bottom, [cell(results, workload, row, threads) for row in rows])
               for top, bottom, workload, threads in wanted]
    columns = [column for column in columns if any(text != "-" for text in column[2])]
    while columns:
        part = []
        left = width - first
        while columns:
            room = 2 + max(map(len, [columns[0][0], columns[0][1], *columns[0][2]]))
            if part and room > left:
                break
            part.append((columns.pop(0), room))
            left -= room
        print()
        for line in (0, 1):
            print(" " * first + "".join(f"{column[line]:>{room}}" for column, room in part))
        for i, row in enumerate(rows):
            if any(column[2][i] != "-" for column, _ in part):
                print(f"{row:<{first}}" + "".join(f"{column[2][i]:>{room}}" for column, room in part))
    print()
    for name in results.absent():
        print(f"{name:<{first}}  absent")


def print_notes(results, compiled):
    print("\nTime over that of the bare pair, one unchecked locked add and one subtract, in the neighbouring slice: median")
    print("of all runs. Ranges and batches: for one page. ±: half the way from the lowest first quartile of any run to the")
    print("highest third.")
    for threads in results.threads():
        # Prefetching makes the bare pair something else than the baseline.
        selves = [key for key in results.runs
                  if key[1:] == ("bare", threads) and key[0] != "batch32_prefetched"]
        costs = [run["bare_ns"] for run in results.runs.get(("get_put", "bare", threads), [])]
        if selves and costs:
            off = max(abs(results.median(*key) - 1) for key in selves)
            print(f"noise with {threads} thread(s): the bare pair beside itself is at most {100 * off:.1f} % off 1; "
                  f"on one page it took {min(costs):.1f} to {max(costs):.1f} ns")
    rounds = [run for runs in results.runs.values() for run in runs]
    kept = sum(run["rounds"] for run in rounds)
    dropped = sum(run["dropped"] for run in rounds)
    print(f"dropped because preempted or sticking out: {100 * dropped / (kept + dropped):.0f} % of "
          f"{kept + dropped:.0f} rounds")
    for where, why in sorted(results.errors.items()):
        if where not in results.runs:
            print(f"no result for {'/'.join(map(str, where))}: {why}")
    if "range_pin_atomics_1_page" in results.facts:
        print(f"locked operations of a range's pin and unpin: {results.facts['range_pin_atomics_1_page']} for one page, "
              f"{results.facts['range_pin_atomics_512_pages']} for 512 pages of one head")
    print(f"bytes a page: bias64 {results.facts['bytes_per_page_bias64']}, "
          f"bias32 {results.facts['bytes_per_page_bias32']}")
    if compiled:
        print(f"compiling pinref.hpp takes {compiled['ratio']:.2f} x as long as <atomic> alone "
              f"({compiled['pinref']:.2f} s, {compiled['atomic']:.2f} s)")


class Compiler:
    """A compiler, its build of the benchmarks and what they measured."""

    def __init__(self, root, command):
        self.command = command
        self.kind = Path(command.split()[-1]).name
        self.folder = root / "build" / ("bench" if self.kind == "g++" else f"bench-{self.kind}")
        self.programs = {name: self.folder / "bench" / f"bench_{name}" for name in PROGRAMS}
        self.results = Results()
        self.compiled = {}

    def medians(self):
        values = {key: self.results.median(*where) for key, where in KEYS.items()}
        for key, (one_way, other_way) in BOTH_WAYS.items():
            there, back = self.results.median(*one_way), self.results.median(*other_way)
            values[key] = (there / back) ** 0.5 if there and back else None
        values["include_time_vs_atomic"] = self.compiled["ratio"]
        return {key: value for key, value in values.items() if value is not None}


def compilers(root):
    """CXX alone, or g++ and clang++, as far as they are there."""
    if os.environ.get("CXX"):
        return [Compiler(root, os.environ["CXX"])]
    found = [Compiler(root, name) for name in ("g++", "clang++") if shutil.which(name)]
    return found or sys.exit("neither g++ nor clang++ is installed")


def flat(first, others):
    """The medians of the first compiler by their keys, those of clang++ beside it as clang_..."""
    values = first.medians()
    for other in others:
        values.update((f"clang_{key}", value) for key, value in other.medians().items())
        # Each is over the bare pair beside it, the same two instructions with every compiler.
        ratios = [each.results.median(*KEYS["dma_pinned_t1_vs_bare"]) for each in (first, other)]
        if all(ratios):
            values["clang_dma_pinned_over_gcc"] = ratios[1] / ratios[0]
    values = {key: round(value, 4) for key, value in values.items()}
    values.update((name, int(first.results.facts[name])) for name in FACTS if name in first.results.facts)
    return values


def thread_list(text):
    numbers = [int(each) for each in text.split(",")]
    if min(numbers) < 1:
        raise ValueError
    return numbers


def build_static(root):
    """The program that is carried elsewhere."""
    first = compilers(root)[0]
    folder = root / "build" / "bench-static"
    say(f"building with {first.command} in {folder.relative_to(root)}")
    build(root, folder, first.command, "-Dbench_static=true")
    print(f"{folder / 'bench' / 'pinref_bench'}: one static program; where you take it, run\n"
          "  pinref_bench --threads=1,2,4,8 --benchmark_out=FILE\n"
          "several times if you can, and here tools/bench --from FILE")


def report_of(root, files):
    """Table and plots of what the static program has measured."""
    results = Results()
    for file in files:
        try:
            results.add(json.loads(file.read_text()))
        except (ValueError, KeyError):
            sys.exit(f"tools/bench: {file} is not what the static program writes")
    print_table(results, shutil.get_terminal_size((120, 24)).columns)
    print_notes(results, None)
    report = root / "build" / "bench-report.html"
    report.parent.mkdir(exist_ok=True)
    report.write_text(bench_report.page(results, None, "from elsewhere"), encoding="utf-8")
    print(f"plots: {report}")


def main():
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the medians as one flat object")
    parser.add_argument("--readme", action="store_true", help="write the table and the plot of README.md")
    parser.add_argument("--threads", type=thread_list, metavar="LIST", help="numbers of threads, as 1,2,4,8")
    parser.add_argument("--static", action="store_true", help="build one static program of all, and no more")
    parser.add_argument("--from", type=Path, action="append", metavar="FILE", dest="files",
                        help="report what the static program has written")
    options = parser.parse_args()
    if options.static:
        return build_static(options.root)
    if options.files:
        return report_of(options.root, options.files)
    if options.json:
        options.json.touch()  # rather than find out after ten minutes
    runs, rounds, pairs = (3, 12, 3) if options.quick else (9, 60, 9)
    begin = time.monotonic()

    all_compilers = compilers(options.root)
    longest = 75 * len(all_compilers) if options.quick else math.inf
    for each in all_compilers:
        say(f"building with {each.command} in {each.folder.relative_to(options.root)}")
        build(options.root, each.folder, each.command)

    first, *others = all_compilers
    # Who is faster than the peers is asked once.
    programs = [(name, each) for name in PROGRAMS for each in all_compilers if each is first or name != "peers"]
    arguments = [f"--rounds={rounds}"]
    if options.threads:
        arguments.append("--threads=" + ",".join(map(str, options.threads)))
    sizes = [len(names_of(each.programs[name], arguments)) for name, each in programs]
    progress = Progress(runs * sum(sizes))
    # Some have nothing for these numbers of threads.
    programs = [program for program, size in zip(programs, sizes) if size]
    say(f"running every benchmark in {runs} processes, {rounds} rounds each")
    last = 0
    for run in range(runs):
        start = time.monotonic()
        if run > 0 and start - begin + last > longest:
            say(f"this machine is busy: {run} of {runs} processes must do")
            break
        # The compilers take turns, so that what changes while this runs changes for all of them.
        for name, each in programs if run % 2 == 0 else reversed(programs):
            label = f"run {run + 1} of {runs}  {each.kind}"
            each.results.add(run_program(each.programs[name], arguments, progress, label))
        last = time.monotonic() - start
    say("compiling")
    for each in all_compilers:
        each.compiled = compile_ratio(options.root, each.command, pairs)

    for each in all_compilers:
        print()
        say(each.command)
        print_table(each.results, shutil.get_terminal_size((120, 24)).columns)
        print_notes(each.results, each.compiled)
        report = each.folder / "report.html"
        report.write_text(bench_report.page(each.results, each.compiled, each.command), encoding="utf-8")
        print(f"plots: {report}")
    if options.readme:
        bench_readme.write(options.root, first, others)
    if options.json:
        options.json.write_text(json.dumps(flat(first, others), indent=2) + "\n")
        print(f"medians: {options.json}")


if __name__ == "__main__":
    tool.main("tools/bench", main)
