# SPDX-License-Identifier: MIT
"""An example prints what the page says that it prints.

The page has a fence right below the line `<!-- printed by NAME -->`:

    <!-- printed by own_host -->
    ```text
    ...
    ```

Lines of headers that are not the example's own may move: their numbers are not compared. With --write the fence is
written anew. The arguments after `--` are the program. The last line reads
`N passed, N failed`.
"""

import argparse
import difflib
import re
import subprocess
import sys
from pathlib import Path

LINE = re.compile(r"\b(\w+)\.(hpp|cpp):\d+$", re.M)


def comparable(text, name):
    return LINE.sub(lambda found: found.group() if found.group(1) == name else f"{found.group(1)}.{found.group(2)}", text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()

    ran = subprocess.run(options.program, text=True, capture_output=True, timeout=60)
    text = options.page.read_text()
    fence = re.compile(rf"(^<!-- printed by {re.escape(options.name)} -->\n```text\n)(.*?)(^```$)", re.M | re.S)
    found = fence.search(text)
    if ran.returncode != 0:
        print(f"{options.name} exits with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
    elif not found:
        print(f"{options.page.name} has no fence below <!-- printed by {options.name} -->")
    elif options.write:
        options.page.write_text(text[:found.start(2)] + ran.stdout + text[found.end(2):])
        print(f"{options.page.name}: written")
    elif comparable(found.group(2), options.name) != comparable(ran.stdout, options.name):
        sys.stdout.writelines(difflib.unified_diff(found.group(2).splitlines(True), ran.stdout.splitlines(True),
                                                   options.page.name, "printed"))
        print(f"If it should be so: python3 {sys.argv[0]} --write --page {options.page} --name {options.name} -- "
              f"{' '.join(options.program)}")
    else:
        print("1 passed, 0 failed")
        return 0
    print("0 passed, 1 failed")
    return 1


if __name__ == "__main__":
    sys.exit(main())
