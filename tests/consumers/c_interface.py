# SPDX-License-Identifier: MIT
"""A project in C takes the C interface: as one source, installed through pkg-config, as a subproject of Meson, with
add_subdirectory and find_package of CMake. Where it brings its own build it needs no C++ library to run."""

import re
import shutil
import sys

import consumer

PROGRAM = """\
#include <pinref_cache.h>
#include <stdlib.h>

int main(void) {
  pinref_word word = PINREF_DEAD_WORD;
  if (!pinref_matches() || pinref_cache_size() == 0) return 1;
  pinref_init(&word, 1);
  if (pinref_try_pin(&word) != PINREF_TAKE_TAKEN) return 2;
  if (pinref_unpin(&word) != PINREF_RELEASE_RELEASED) return 3;
  return pinref_put(&word) == PINREF_RELEASE_LAST ? 0 : 4;
}
"""
MESON = """\
project('user', 'c', 'cpp', meson_version: '>=1.0.0', default_options: ['c_std=c11', 'cpp_std=c++20'])
test('uses pinref', executable('user', 'user.c', dependencies: dependency('pinref-c'), link_language: 'c'))
"""
WRAP = "[wrap-file]\ndirectory = pinref\n\n[provide]\ndependency_names = pinref, pinref-c, pinref-explorer\n"
CMAKE = """\
cmake_minimum_required(VERSION 3.15)
project(user LANGUAGES %s)
%s
add_executable(user user.c)
target_link_libraries(user PRIVATE pinref::c)
"""


def needs_libc_alone(user, what, program):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", user.run("readelf", "-d", program).stdout)
    user.judge(f"{what}: needs libc alone", needed == ["libc.so.6"], needed)


def check(user):
    user.write("user.c", PROGRAM)
    c = user.command[0].replace("clang++", "clang").replace("g++", "gcc").replace("c++", "cc")
    environment = {"CC": c}
    strict = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]

    user.succeeds("tools/amalgamate", sys.executable, "-B", user.root / "tools/amalgamate", "--output", "made")
    user.succeeds("one source: it compiles", *user.command, "-std=c++20", "-O1", "-fno-exceptions", "-fno-rtti", "-c",
                  "made/pinref_c.cpp", "-o", "pinref.o")
    user.succeeds("one source: the C compiler links", c, *strict, "-Imade", "user.c", "pinref.o", "-o", "by-source")
    user.succeeds("one source: run", user.folder / "by-source")
    needs_libc_alone(user, "one source", "by-source")

    prefix = user.folder / "prefix"
    user.succeeds("meson setup", "meson", "setup", "for-install", user.root, f"--prefix={prefix}", "--libdir=lib",
                  "--wrap-mode=nodownload", "-Dauto_features=disabled", "-Dlibrary_for_c=enabled", **environment)
    user.succeeds("meson install", "meson", "install", "-C", "for-install")
    path = {"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    flags = user.succeeds("pkg-config", "pkg-config", "--cflags", "--libs", "pinref-c", **path).split()
    version = user.succeeds("version", "pkg-config", "--modversion", "pinref-c", **path).strip()
    user.judge("the version is the library's", version == user.version, version)
    user.succeeds("pkg-config: build", c, *strict, "user.c", *flags, "-o", "by-pkg-config")
    user.succeeds("pkg-config: run", user.folder / "by-pkg-config")
    needs_libc_alone(user, "pkg-config", "by-pkg-config")

    user.write("CMakeLists.txt", CMAKE % ("C", "find_package(pinref REQUIRED CONFIG)"))
    shutil.move(prefix, user.folder / "moved")
    user.succeeds("find_package: configure", "cmake", "-S", ".", "-B", "found",
                  f"-DCMAKE_PREFIX_PATH={user.folder / 'moved'}", **environment)
    user.succeeds("find_package: build", "cmake", "--build", "found")
    user.succeeds("find_package: run", user.folder / "found/user")
    needs_libc_alone(user, "find_package", "found/user")

    user.write("CMakeLists.txt", CMAKE % ("C CXX", f'add_subdirectory("{user.root}" pinref)'))
    user.succeeds("add_subdirectory: configure", "cmake", "-S", ".", "-B", "subdirectory", **environment)
    user.succeeds("add_subdirectory: build", "cmake", "--build", "subdirectory")
    user.succeeds("add_subdirectory: run", user.folder / "subdirectory/user")

    user.write("meson.build", MESON)
    user.write("subprojects/pinref.wrap", WRAP)
    (user.folder / "subprojects/pinref").symlink_to(user.root)
    user.succeeds("subproject: setup", "meson", "setup", "--wrap-mode=nodownload", "sub", **environment)
    user.succeeds("subproject: build and run", "meson", "test", "-C", "sub")
    needs_libc_alone(user, "subproject", "sub/user")


if __name__ == "__main__":
    consumer.main(__doc__, ["meson", "ninja", "pkg-config", "cmake", "readelf"], check)
