# SPDX-License-Identifier: MIT
"""A bare compiler command takes pinref_all.hpp, from several sources of a program and beside the headers."""

import re
import sys

import consumer

UNIT = """\
#include %s

#include <cstdint>

#include "unit.hpp"

std::uint64_t %s() { return pinref::layout_stamp<shared>{}.raw(); }
bool %s_take(shared& all) {
  return all.stamp.matches() && all.page.try_pin() == pinref::take_result::taken && all.page.dma_pinned() &&
         all.page.unpin() == pinref::release_result::released;
}
"""
SHARED = """\
#pragma once
struct shared {
  pinref::layout_stamp<shared> stamp;
  pinref::page_ref<> page{pinref::bias64::live(1)};
  pinref::layout_gate<> gate;
};
"""
MAIN = """\
#include "pinref_all.hpp"

#include "unit.hpp"

std::uint64_t first();
std::uint64_t second();
std::uint64_t third();
bool first_take(shared&);
bool second_take(shared&);
bool third_take(shared&);

int main() {
  shared all;
  if (first() != second() || first() != third() || first() != all.stamp.raw()) return 1;
  if (!first_take(all) || !second_take(all) || !third_take(all)) return 2;
  // What is beside the core is there too.
  if (pinref::registration_counts{}.regions != 0) return 3;
  return all.page.put() == pinref::release_result::last ? 0 : 4;
}
"""
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]


def check(user):
    tool = [sys.executable, "-B", user.root / "tools/amalgamate"]
    user.succeeds("tools/amalgamate", *tool, "--output", "made")
    user.succeeds("tools/amalgamate again", *tool, "--output", "again")
    made = {name: (user.folder / "made" / name) for name in ("pinref_all.hpp", "pinref_c.cpp", "pinref.h")}
    same = all(path.read_bytes() == (user.folder / "again" / name).read_bytes() for name, path in made.items())
    user.judge("it makes the same twice", same)
    text = made["pinref_all.hpp"].read_text()
    user.judge("no header of the library is included any more", not re.search(r"^\s*#\s*include\s*[<\"]pinref/", text, re.M))
    user.judge("the licence comes with it", "Permission is hereby granted" in text and f"pinref {user.version}" in text)
    user.refused("a folder that is none is said", "tools/amalgamate: cannot write", *tool, "--output", "main.cpp/made")

    user.write("unit.hpp", SHARED)
    for name, header in (("first", '"pinref_all.hpp"'), ("second", '"pinref_all.hpp"'),
                         ("third", "<pinref/host.hpp>\n#include <pinref/pinref.hpp>")):
        user.write(f"{name}.cpp", UNIT % (header, name, name))
    user.write("both.cpp", MAIN)
    flags = ["-std=c++20", *WARNINGS, "-Imade", f"-I{user.root / 'include'}"]
    sources = ["both.cpp", "first.cpp", "second.cpp", "third.cpp"]
    user.succeeds("two units with the header, one with the headers", *user.command, *flags, *sources, "-pthread",
                  "-o", "both")
    user.succeeds("run", user.folder / "both")
    user.succeeds("without exceptions and run-time types", *user.command, *flags, "-fno-exceptions", "-fno-rtti",
                  "-fsyntax-only", "first.cpp")

    user.write("twice.cpp", "#include <pinref/pinref.hpp>\n#include \"pinref_all.hpp\"\n")
    user.refused("both forms in one source are refused", "do not include other headers of it before",
                 *user.command, *flags, "-fsyntax-only", "twice.cpp")

    for header in ("<pinref/pinref.hpp>", "<pinref/version.hpp>", '"pinref_all.hpp"'):
        user.write("old.cpp", f"#include {header}\n")
        result = user.run(*user.command, *flags, "-std=c++17", "-fsyntax-only", "old.cpp")
        first = next((line for line in result.stdout.splitlines() if "error" in line), "")
        user.judge(f"{header} before C++20: the first error says so",
                   result.returncode != 0 and "pinref needs C++20" in first, result.stdout[:2000])

    user.write("with_c.cpp", "#include \"pinref_all.hpp\"\n#include \"pinref.h\"\nint main() { return 0; }\n")
    user.succeeds("beside the header of C", *user.command, *flags, "-fsyntax-only", "with_c.cpp")


if __name__ == "__main__":
    consumer.main(__doc__, [], check)
