# SPDX-License-Identifier: MIT
"""A CMake project takes pinref with add_subdirectory (FetchContent does the same after its download)."""

import consumer

PROJECT = """\
cmake_minimum_required(VERSION 3.15)
project(user LANGUAGES CXX)
add_subdirectory("${PINREF_SOURCE}" pinref)
add_executable(user main.cpp)
target_link_libraries(user PRIVATE pinref::pinref)
add_executable(explores explores.cpp)
target_link_libraries(explores PRIVATE pinref::explorer)
install(TARGETS user)
"""


def check(user):
    user.write("CMakeLists.txt", PROJECT)
    user.succeeds("configure", "cmake", "-S", ".", "-B", "build", f"-DPINREF_SOURCE={user.root}")
    user.succeeds("build", "cmake", "--build", "build")
    for program in ("user", "explores"):
        user.succeeds(f"run {program}", user.folder / "build" / program)
    user.succeeds("install", "cmake", "--install", "build", "--prefix", user.folder / "dest")
    installed = [path.name for path in (user.folder / "dest").rglob("*") if path.is_file()]
    user.judge("pinref's files stay out of the user's prefix", installed == ["user"], installed)


if __name__ == "__main__":
    consumer.main(__doc__, ["cmake"], check)
