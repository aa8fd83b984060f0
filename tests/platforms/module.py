# SPDX-License-Identifier: MIT
"""`import pinref;`: the module that tools/amalgamate makes, with the newest clang. What else is installed is tried, and
its answer told: of Debian 12, clang 14 refuses to export a static_assert, and g++ 12 crashes.
"""

import re
import shutil
import sys

import platform_test

FIRST_CLANG = 16
PROGRAM = """\
import pinref;

int main() {
  pinref::page_ref<> page;
  page.init();
  if (page.try_pin() != pinref::take_result::taken || !page.dma_pinned()) return 1;
  if (page.unpin() != pinref::release_result::released) return 2;
  return page.put() == pinref::release_result::last ? 0 : 3;
}
"""


def version_of(steps, compiler):
    found = re.search(r"clang version (\d+)", steps.run(compiler, "--version").stdout)
    return int(found.group(1)) if found else 0


def check(steps):
    steps.succeeds("tools/amalgamate", sys.executable, "-B", steps.root / "tools/amalgamate", "--output", ".")
    (steps.folder / "user.cpp").write_text(PROGRAM)
    names = [f"clang++-{version}" for version in range(30, 13, -1)] + ["clang++"]
    versions = {name: version_of(steps, name) for name in names if shutil.which(name)}
    able = [name for name, version in versions.items() if version >= FIRST_CLANG]
    for name in able[:1]:
        steps.succeeds(f"{name}: the interface", name, "-std=c++20", "-Wno-include-angled-in-module-purview",
                       "--precompile", "pinref.cppm", "-o", "pinref.pcm")
        steps.succeeds(f"{name}: a program", name, "-std=c++20", "-fmodule-file=pinref=pinref.pcm", "user.cpp",
                       "pinref.pcm", "-o", "user")
        steps.succeeds(f"{name}: it runs", steps.folder / "user")
    if not able:
        print(f"skipped: no clang from {FIRST_CLANG} on is installed, and g++ 12 cannot compile the module")


if __name__ == "__main__":
    platform_test.main(__doc__, ["python3"], check)
