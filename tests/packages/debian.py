# SPDX-License-Identifier: MIT
"""The Debian package is built by dpkg-buildpackage, the same bytes twice, installed, used from C++ and C, and removed
without a trace.

To install it takes root, on a system that has no package of this name; elsewhere it is unpacked and looked at only.
"""

import os
import re
import shutil

import release_tree  # which finds tests/support

import programs

PACKAGE = "libpinref-dev"
NEEDS = ["dpkg-buildpackage", "dh", "meson", "g++", "pkg-config"]


def installed(steps):
    return "ok installed" in steps.run("dpkg-query", "-W", "-f=${Status}", PACKAGE).stdout


def check_contents(steps, package):
    contents = [line.split()[-1].removeprefix(".") for line in
                steps.succeeds("contents", "dpkg-deb", "--contents", package).splitlines()]
    for wanted in (r"/usr/include/pinref/pinref\.hpp", r"/usr/include/pinref/explorer/explorer\.hpp",
                   r"/usr/include/pinref\.h", r"/usr/include/pinref_pages\.h", r"/usr/include/pinref_cache\.h",
                   r"/usr/lib/[^/]+/libpinref\.a", r"/usr/lib/[^/]+/pkgconfig/pinref-c\.pc",
                   r"/usr/share/pkgconfig/pinref\.pc", r"/usr/share/cmake/pinref/pinrefConfig\.cmake",
                   rf"/usr/share/doc/{PACKAGE}/copyright", rf"/usr/share/doc/{PACKAGE}/changelog\.Debian\.gz"):
        steps.judge(f"has {wanted}", any(re.fullmatch(wanted, name) for name in contents), contents)
    strange = [name for name in contents if not name.endswith("/") and not name.startswith("/usr/")]
    steps.judge("has nothing outside /usr", not strange, strange)
    wanted = steps.run("dpkg-deb", "--field", package, "Depends").stdout.strip()
    steps.judge("depends on nothing", wanted == "", wanted)


def consume(steps):
    (steps.folder / "user.cpp").write_text(programs.CXX)
    (steps.folder / "user.c").write_text(programs.C)
    (steps.folder / "CMakeLists.txt").write_text(programs.CMAKE)
    steps.succeeds("C++: build", "g++", "-std=c++20", "user.cpp", "-o", "in_cxx")
    steps.succeeds("C++: run", steps.folder / "in_cxx")
    flags = steps.succeeds("C: flags", "pkg-config", "--cflags", "--libs", "pinref-c").split()
    steps.succeeds("C: build", "gcc", "-std=c11", "user.c", *flags, "-o", "in_c")
    steps.succeeds("C: run", steps.folder / "in_c")
    if shutil.which("cmake"):
        steps.succeeds("CMake: configure", "cmake", "-S", ".", "-B", "found")
        steps.succeeds("CMake: build", "cmake", "--build", "found")
        for name in ("in_cxx", "in_c"):
            steps.succeeds(f"CMake: run {name}", steps.folder / "found" / name)


def build(steps, tree):
    """The package of a tree, which becomes a source of Debian; or None."""
    version = re.search(r"^\s*version: '([^']+)'", (tree / "meson.build").read_text(), re.M).group(1)
    shutil.copytree(tree / "packaging/debian", tree / "debian")
    steps.succeeds("dpkg-buildpackage", "dpkg-buildpackage", "--build=binary", "--no-sign", cwd=tree)
    packages = sorted(tree.parent.glob(f"{PACKAGE}_{version}-*.deb"))
    return packages[0] if steps.judge("one package", len(packages) == 1, packages) else None


def check_package(steps, package):
    """What is in the package, and that it can be used where it is installed."""
    check_contents(steps, package)
    if os.geteuid() != 0:
        print("skipped: installing the package takes root")
        return
    if installed(steps):
        print(f"skipped: a {PACKAGE} is installed here already")
        return
    try:
        steps.succeeds("install", "dpkg", "--install", package)
        steps.judge("it is installed", installed(steps))
        consume(steps)
    finally:
        steps.succeeds("remove", "dpkg", "--purge", PACKAGE)
    left = [path for path in ("/usr/include/pinref", "/usr/include/pinref.h", "/usr/share/cmake/pinref",
                              f"/usr/share/doc/{PACKAGE}") if os.path.exists(path)]
    steps.judge("nothing is left", not left and not installed(steps), left)


def check(steps):
    packages = []
    for folder in ("once", "again-in-another-folder"):
        tree = steps.folder / folder / "pinref"
        release_tree.copy_tree(steps.root, tree)
        packages.append(build(steps, tree))
    if all(packages):
        once, again = packages
        steps.judge("the same bytes twice", once.read_bytes() == again.read_bytes())
        check_package(steps, once)


if __name__ == "__main__":
    release_tree.main(__doc__, NEEDS, check)
