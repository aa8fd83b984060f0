# SPDX-License-Identifier: MIT
"""What the consumer tests share: small programs that use pinref and its explorer, and a way to install it."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import programs  # noqa: E402
import steps  # noqa: E402

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


class Consumer(steps.Steps):
    """Steps in a folder with main.cpp and explores.cpp."""

    def __init__(self, root, command, folder):
        super().__init__(root, command, folder)
        self.environment["CMAKE_GENERATOR"] = "Ninja"
        self.environment["CXX"] = " ".join(command)
        self.write("main.cpp", programs.CXX)
        self.write("explores.cpp", EXPLORING)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

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
    """Runs `check(consumer)`; skips where a program of `needs` is missing."""
    steps.main(description, needs, check, Consumer, compiler=True)
