# SPDX-License-Identifier: MIT
"""Which lines of include/pinref the deterministic suites execute.

Reads the counts that the tests of a build with `-Db_coverage=true` have left, and takes them away, so that the next
run starts from none. A line that no test executes must stand in docs/coverage.md with the reason why only luck can
reach it. Members that the compiler writes are counted on the line of their class, and the way back of an endless loop
on its first; both are left out. Lines of templates that no test instantiates are not code, and not seen.

The last line reads `N passed, N failed`: headers without a line to complain of, and lines that are.
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FEW = 12
IMPLICIT = re.compile(r"(class|struct)\b|for \(;;\)")
ROW = re.compile(r"^\| (\S+\.hpp) \| `(.+?)` \| (.+) \|$", re.M)


def read_counts(root, build):
    """{header: {line number: times}}."""
    include = root / "include" / "pinref"
    lines = defaultdict(lambda: defaultdict(int))
    for data in sorted(build.rglob("*.gcda")):
        text = subprocess.run(["gcov", "--json-format", "--stdout", data],
                              cwd=build, text=True, capture_output=True, check=True).stdout
        for report in map(json.loads, text.splitlines()):
            for file in report["files"]:
                path = Path(report["current_working_directory"], file["file"]).resolve()
                if path.is_relative_to(include):
                    name = path.relative_to(include).as_posix()
                    for line in file["lines"]:
                        lines[name][line["line_number"]] += line["count"]
        data.unlink()
    return lines


def lucky_lines(root):
    """{(header, text)} of docs/coverage.md."""
    return {(file, text.replace("\\|", "|")) for file, text, _ in ROW.findall((root / "docs" / "coverage.md").read_text())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    options = parser.parse_args()
    root = options.root.resolve()

    counts = read_counts(root, options.build)
    if not counts:
        print("no counts: run the suites unit and explore of this build first")
        return 1
    lucky = lucky_lines(root)
    texts = {name: [line.strip() for line in (root / "include" / "pinref" / name).read_text().splitlines()]
             for name in counts}
    passed = failed = 0
    print(f"{'header':<28} {'lines':>6} {'executed':>9} {'luck':>5}")
    for name in sorted(counts):
        missed = [number for number, times in sorted(counts[name].items())
                  if times == 0 and not IMPLICIT.match(texts[name][number - 1])]
        unmarked = [number for number in missed if (name, texts[name][number - 1]) not in lucky]
        print(f"{name:<28} {len(counts[name]):>6} {len(counts[name]) - len(missed):>9} "
              f"{len(missed) - len(unmarked):>5}")
        for number in unmarked:
            print(f"    {name}:{number}: never executed: {texts[name][number - 1]}")
        failed += len(unmarked)
        passed += not unmarked
    every = sum(len(found) for found in counts.values())
    hit = sum(times > 0 for found in counts.values() for times in found.values())
    print(f"covered: {hit} of {every} lines, {100 * hit / every:.1f} %")

    for name, text in sorted(lucky):
        if text not in texts.get(name, []):
            failed += 1
            print(f"docs/coverage.md: no such line in {name}: {text}")
    if len(lucky) > FEW:
        failed += 1
        print(f"docs/coverage.md: {len(lucky)} lines are left to luck, {FEW} is few")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
