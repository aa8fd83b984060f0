# SPDX-License-Identifier: MIT
"""A Meson project takes pinref as a subproject, through dependency() alone."""

import json

import consumer

PROJECT = """\
project('user', 'cpp', meson_version: '>=1.0.0', default_options: ['cpp_std=c++20'])
pinref_dep = dependency('pinref', version: get_option('wanted'))
test('uses pinref', executable('user', 'main.cpp', dependencies: pinref_dep, install: true))
test('explores', executable('explores', 'explores.cpp', dependencies: dependency('pinref-explorer')))
"""
OPTIONS = "option('wanted', type: 'string', value: '')\n"
WRAP = "[wrap-file]\ndirectory = pinref\n\n[provide]\ndependency_names = pinref, pinref-explorer\n"


def check(user):
    user.write("meson.build", PROJECT)
    user.write("meson_options.txt", OPTIONS)
    user.write("subprojects/pinref.wrap", WRAP)
    (user.folder / "subprojects/pinref").symlink_to(user.root)

    setup = ["meson", "setup", "--wrap-mode=nodownload"]
    user.succeeds("setup", *setup, "build", f"-Dwanted=>={user.version}")
    user.succeeds("build and run", "meson", "test", "-C", "build")

    tests = json.loads((user.folder / "build/meson-info/intro-tests.json").read_text())
    user.judge("pinref's tests stay out", [test["name"] for test in tests] == ["uses pinref", "explores"], tests)

    user.succeeds("install", "meson", "install", "-C", "build", "--destdir", user.folder / "dest")
    installed = [path.name for path in (user.folder / "dest").rglob("*") if path.is_file()]
    user.judge("pinref's files stay out of the user's prefix", installed == ["user"], installed)

    for wanted in (">=9", "<0.1"):
        user.refused(f"version {wanted} is refused", f"found {user.version} but need",
                     *setup, f"build-{wanted[1:]}", f"-Dwanted={wanted}")


if __name__ == "__main__":
    consumer.main(__doc__, ["meson", "ninja"], check)
