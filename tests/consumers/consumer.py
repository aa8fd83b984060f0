# SPDX-License-Identifier: MIT
"""What the consumer tests share: small programs that use pinref and its explorer, and a way to run commands and judge
them.

Each test is a list of steps. A step either must succeed or must be refused, and counts as one case. The last line
reads `N passed, N failed`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77

PROGRAM = """\
#include <pinref/pinref.hpp>

int main() {
  pinref::page_ref<> page;
  page.init();
  return page.put() == pinref::release_result::last ? 0 : 1;
}
"""

EXPLORING = """\
#include <pinref/explorer/explored_sync.hpp>
#include <pinref/ref.hpp>

int main() {
  const auto r = explorer::explore({}, [](explorer::execution& x) {
    auto& page = x.make<pinref::page_ref<pinref::bias64, explorer::explored_sync>>();
    page.init();
    x.thread([&page] { (void)page.put(); });
    x.thread([&page] { (void)page.try_get(); });
  });
  return !r.failed && r.exhausted ? 0 : 1;
}
"""


class Consumer:
    """A scratch folder with main.cpp and explores.cpp, the project's root and compiler, and the tally of steps."""

    def __init__(self, root, command, folder):
        self.root = root
        self.command = command
        self.folder = folder
        self.passed = self.failed = 0
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("MESON", "NINJA"))}
        self.environment["CMAKE_GENERATOR"] = "Ninja"
        self.environment["CXX"] = " ".join(command)
        self.write("main.cpp", PROGRAM)
        self.write("explores.cpp", EXPLORING)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run(self, *command, **environment):
        """Runs the command; one that cannot even start fails like any other."""
        command = [str(part) for part in command]
        try:
            return subprocess.run(command, cwd=self.folder, text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env={**self.environment, **environment})
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, stdout=str(error))

    def succeeds(self, what, *command, **environment):
        result = self.run(*command, **environment)
        self.judge(what, result.returncode == 0, result.stdout)
        return result.stdout

    def refused(self, what, because, *command, **environment):
        """The command must fail, and say `because`."""
        result = self.run(*command, **environment)
        said = re.search(because, " ".join(result.stdout.split())) is not None
        self.judge(what, result.returncode != 0 and said, result.stdout)

    def judge(self, what, good, details=""):
        self.passed, self.failed = (self.passed + 1, self.failed) if good else (self.passed, self.failed + 1)
        print(f"{'ok' if good else 'FAILED'}: {what}")
        if not good:
            print(details)

    @property
    def version(self):
        text = (self.root / "include/pinref/version.hpp").read_text()
        return ".".join(re.search(rf"PINREF_VERSION_{part} (\d+)", text).group(1)
                        for part in ("MAJOR", "MINOR", "PATCH"))

    def meson_install(self, prefix):
        self.succeeds("meson setup", "meson", "setup", "for-install", self.root, f"--prefix={prefix}",
                      "--wrap-mode=nodownload", "-Dauto_features=disabled")
        self.succeeds("meson install", "meson", "install", "-C", "for-install")

    def cmake_install(self, prefix):
        self.succeeds("cmake configures pinref", "cmake", "-S", self.root, "-B", "for-install-cmake",
                      f"-DCMAKE_INSTALL_PREFIX={prefix}")
        self.succeeds("cmake installs pinref", "cmake", "--install", "for-install-cmake")


def main(description, needs, check):
    """Runs `check(consumer)` in a scratch folder; skips where a program of `needs` is missing."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    for program in needs:
        if not shutil.which(program):
            print(f"{program} is not installed")
            sys.exit(SKIP)
    with tempfile.TemporaryDirectory(prefix="pinref-consumer-") as folder:
        consumer = Consumer(options.root.resolve(), options.command, Path(folder).resolve())
        check(consumer)
    print(f"{consumer.passed} passed, {consumer.failed} failed")
    sys.exit(1 if consumer.failed or not consumer.passed else 0)
