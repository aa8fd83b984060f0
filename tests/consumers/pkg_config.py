# SPDX-License-Identifier: MIT
"""A bare compiler command takes an installed pinref through pkg-config."""

import consumer


def check(user):
    prefix = user.folder / "prefix"
    user.meson_install(prefix)
    path = {"PKG_CONFIG_PATH": str(prefix / "share/pkgconfig")}

    flags = user.succeeds("flags", "pkg-config", "--cflags", "--libs", "pinref", **path).split()
    for program, source in (("user", "main.cpp"), ("explores", "explores.cpp")):
        user.succeeds(f"build {program}", *user.command, "-std=c++20", source, *flags, "-o", program)
        user.succeeds(f"run {program}", user.folder / program)
    version = user.succeeds("version", "pkg-config", "--modversion", "pinref", **path).strip()
    user.judge("the version is the library's", version == user.version, version)

    user.succeeds("its own version is accepted", "pkg-config", "--print-errors", f"pinref >= {user.version}", **path)
    user.refused("version 9 is refused", f"version '{user.version}'|version of pinref is {user.version}",
                 "pkg-config", "--print-errors", "pinref >= 9", **path)


if __name__ == "__main__":
    consumer.main(__doc__, ["meson", "pkg-config"], check)
