# SPDX-License-Identifier: MIT
"""What README.md says about adding pinref to a build is what works: each of its texts is used as it stands.

A text has a mark right above it, `<!-- build: WAY -->`. `pinref` is the source tree beside the user's project, and the
archive that CMake is told to fetch.
"""

import os
import re
import shutil

import consumer
import programs

TEXT = re.compile(r"^<!-- build: ([^>]+) -->\n```\w+\n(.*?)^```$", re.M | re.S)
MESON = "project('user', 'cpp', meson_version: '>=1.0.0', default_options: ['cpp_std=c++20'])\n"
CMAKE = "cmake_minimum_required(VERSION 3.15)\nproject(user LANGUAGES CXX)\n"


def shell(user, what, text, **environment):
    user.succeeds(f"{what}: its commands", "sh", "-euc", text, **environment)
    user.succeeds(f"{what}: run", user.folder / "user")
    (user.folder / "user").unlink(missing_ok=True)


def check(user):
    ways = dict(TEXT.findall((user.root / "README.md").read_text()))
    user.judge("README.md has each way once", sorted(ways) == ["CMakeLists.txt", "meson.build", "one header", "pkg-config"] and
               len(ways) == len(TEXT.findall((user.root / "README.md").read_text())), sorted(ways))

    # By its path: it may be a c++ itself.
    command = [shutil.which(user.command[0]), *user.command[1:]]
    compiler = user.write("bin/c++", f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
    compiler.chmod(0o755)
    user.environment["PATH"] = f"{compiler.parent}:{os.environ['PATH']}"
    (user.folder / "pinref").symlink_to(user.root)

    with_all = user.write("main.cpp", programs.CXX.replace("<pinref/pinref.hpp>", '"pinref_all.hpp"'))
    shell(user, "one header", ways["one header"])
    with_all.write_text(programs.CXX)

    prefix = user.folder / "prefix"
    user.meson_install(prefix)
    shell(user, "pkg-config", ways["pkg-config"], PKG_CONFIG_PATH=str(prefix / "share/pkgconfig"))

    user.write("subprojects/pinref.wrap", "[wrap-file]\ndirectory = pinref\n")
    (user.folder / "subprojects/pinref").symlink_to(user.root)
    user.write("meson.build", MESON + ways["meson.build"])
    user.succeeds("meson: setup", "meson", "setup", "--wrap-mode=nodownload", "by-meson")
    user.succeeds("meson: build", "ninja", "-C", "by-meson")
    user.succeeds("meson: run", user.folder / "by-meson/user")

    user.write("CMakeLists.txt", CMAKE + ways["CMakeLists.txt"])
    user.succeeds("cmake: setup", "cmake", "-S", ".", "-B", "by-cmake", f"-DFETCHCONTENT_SOURCE_DIR_PINREF={user.root}")
    user.succeeds("cmake: build", "cmake", "--build", "by-cmake")
    user.succeeds("cmake: run", user.folder / "by-cmake/user")


if __name__ == "__main__":
    consumer.main(__doc__, ["meson", "ninja", "cmake", "pkg-config"], check)
