# SPDX-License-Identifier: MIT
"""A CMake project finds an installed pinref, from Meson's installation and from CMake's, also after a move."""

import shutil

import consumer

PROJECT = """\
cmake_minimum_required(VERSION 3.19)
project(user LANGUAGES CXX)
find_package(pinref ${WANTED} REQUIRED CONFIG)
add_executable(user main.cpp)
target_link_libraries(user PRIVATE pinref::pinref)
add_executable(explores explores.cpp)
target_link_libraries(explores PRIVATE pinref::explorer)
"""


def check_installation(user, installer, install):
    first, prefix = user.folder / f"first-{installer}", user.folder / f"moved-{installer}"
    install(first)
    shutil.move(first, prefix)

    def configure(wanted):
        build = f"build-{installer}-{wanted.replace(';', '-')}"
        return ["cmake", "-S", ".", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DWANTED={wanted}"]

    major, minor, patch = (int(part) for part in user.version.split("."))
    series = f"{major}.{minor}"
    for wanted in ("", series, user.version, f"{user.version};EXACT", f"{series}...{series}.9"):
        user.succeeds(f"{installer}: version {wanted or 'any'} is found", *configure(wanted))
    user.succeeds(f"{installer}: build", "cmake", "--build", f"build-{installer}-{series}")
    for program in ("user", "explores"):
        user.succeeds(f"{installer}: run {program}", user.folder / f"build-{installer}-{series}" / program)

    for wanted in ("9", f"{major}.{minor + 1}", f"{series}.{patch + 5}", "9;EXACT",
                   "9...10"):
        user.refused(f"{installer}: version {wanted} is refused",
                     "Could not find a configuration file for package \"pinref\"", *configure(wanted))


def check(user):
    user.write("CMakeLists.txt", PROJECT)
    check_installation(user, "meson", user.meson_install)
    check_installation(user, "cmake", user.cmake_install)
    packages = [sorted(path.relative_to(user.folder / folder).as_posix()
                       for path in (user.folder / folder).rglob("*.hpp"))
                for folder in ("moved-meson", "moved-cmake")]
    user.judge("both install the same headers", packages[0] == packages[1] != [], packages)
    user.judge("the explorer's among them", any(name.endswith("pinref/explorer/explorer.hpp") for name in packages[0]),
               packages[0])


if __name__ == "__main__":
    consumer.main(__doc__, ["cmake", "meson"], check)
