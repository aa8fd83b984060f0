# SPDX-License-Identifier: MIT
"""The release archive of `meson dist`: complete, the same bytes twice, and its tests pass; and projects take the library
from it, by a wrap of Meson and by FetchContent of CMake. It is made of the tree as it is, committed to a repository of
its own.
"""

import hashlib
import re
import sys

import release_tree  # which finds tests/support

import programs

SUITES = ["unit", "c", "headers", "lint", "consumers"]
MOMENT = 1767225600
NEEDS = ["git", "meson", "ninja", "cmake", "tar", "xz", "pkg-config"]
GIT = ["git", "-c", "user.name=release", "-c", "user.email=release@pinref.invalid"]

MESON = """\
project('user', 'c', 'cpp', meson_version: '>=1.0.0', default_options: ['cpp_std=c++20'])
test('in C++', executable('in_cxx', 'user.cpp', dependencies: dependency('pinref')))
test('in C', executable('in_c', 'user.c', dependencies: dependency('pinref-c')))
"""
CMAKE = """\
cmake_minimum_required(VERSION 3.15)
project(user LANGUAGES C CXX)
include(FetchContent)
FetchContent_Declare(pinref URL "${ARCHIVE}" URL_HASH SHA256=${HASH})
FetchContent_MakeAvailable(pinref)
add_executable(in_cxx user.cpp)
target_link_libraries(in_cxx PRIVATE pinref::pinref)
add_executable(in_c user.c)
target_link_libraries(in_c PRIVATE pinref::c)
"""


def commit(steps, tree):
    release_tree.copy_tree(steps.root, tree)
    moment = {"GIT_AUTHOR_DATE": f"@{MOMENT} +0000", "GIT_COMMITTER_DATE": f"@{MOMENT} +0000"}
    steps.succeeds("repository", "git", "init", "-q", tree)
    steps.succeeds("add", *GIT, "add", "-A", ".", cwd=tree)
    steps.succeeds("commit", *GIT, "commit", "-q", "-m", "release", cwd=tree, **moment)


def consume(steps, archive):
    user = steps.folder / "user"
    (user / "subprojects/packagefiles").mkdir(parents=True)
    (user / "subprojects/packagefiles" / archive.name).write_bytes(archive.read_bytes())
    wrap = steps.succeeds("packaging/wrap.py", sys.executable, "-B", steps.root / "packaging/wrap.py", archive)
    (user / "subprojects/pinref.wrap").write_text(wrap)
    (user / "meson.build").write_text(MESON)
    (user / "user.cpp").write_text(programs.CXX)
    (user / "user.c").write_text(programs.C)
    steps.succeeds("wrap: setup", "meson", "setup", "build", cwd=user)
    steps.succeeds("wrap: build and run", "meson", "test", "-C", "build", cwd=user)

    (user / "CMakeLists.txt").write_text(CMAKE)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    steps.succeeds("FetchContent: configure", "cmake", "-S", ".", "-B", "fetched", f"-DARCHIVE=file://{archive}",
                   f"-DHASH={digest}", cwd=user)
    steps.succeeds("FetchContent: build", "cmake", "--build", "fetched", cwd=user)
    for name in ("in_cxx", "in_c"):
        steps.succeeds(f"FetchContent: run {name}", user / "fetched" / name)


def listing(folder):
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts}


def check_archive(steps, archive, tree):
    """That the archive has the files of `tree`, serves other projects, and passes its own tests."""
    steps.succeeds("unpack", "tar", "-xf", archive)
    unpacked = steps.folder / archive.name.removesuffix(".tar.xz")
    whole = listing(unpacked)
    steps.judge("the archive is the tree", whole == listing(tree) and len(whole) > 100)
    consume(steps, archive)

    steps.succeeds("from the archive: configure", "meson", "setup", "tested", unpacked, "--wrap-mode=nodownload",
                   "-Dtests=enabled", "-Dexamples=disabled", "-Dbench=disabled", "-Doptimization=1", "-Ddebug=false")
    suites = [argument for suite in SUITES for argument in ("--suite", suite)]
    done = steps.run("meson", "test", "-C", "tested", "--print-errorlogs", *suites)
    ran = re.search(r"^Ok: +(\d+) *$", done.stdout, re.M)
    steps.judge("from the archive: tests", done.returncode == 0 and ran and int(ran.group(1)) > len(SUITES),
                "\n".join(line for line in done.stdout.splitlines() if not line.startswith("[")))


def check(steps):
    tree = steps.folder / "tree"
    commit(steps, tree)
    archive, again = (release_tree.make_archive(steps, tree, steps.folder / name, MOMENT) for name in ("once", "again"))
    if not steps.judge("archives are made", archive and again):
        return
    steps.judge("the same bytes twice", archive.read_bytes() == again.read_bytes())
    check_archive(steps, archive, tree)


if __name__ == "__main__":
    release_tree.main(__doc__, NEEDS, check)
