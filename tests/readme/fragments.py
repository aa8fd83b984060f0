# SPDX-License-Identifier: MIT
"""Fragments of code, as they stand in comments and pages, made into programs that compile and run.

A fragment uses names that a reader knows from the text around it: `page`, `space`, `start_dma()`. They come from a
prelude, prelude/NAME.hpp, which defines `struct scene` with what fragments name as variables, and functions beside it.
A fragment is cut into whole declarations and statements. Types, templates, functions and what is `inline` go into a
namespace of the fragment's own; all else becomes the body of a member function of a class derived from the scene. One
program runs many fragments, each on a scene of its own, and asks `scene::is_clean()` afterwards: an example that leaves
a pin behind is wrong.

A fragment that specializes a template of the library stands in the global namespace, in a program of its own.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lint"))
import tree  # noqa: E402

PRELUDES = Path(__file__).resolve().parent / "prelude"
FLAGS = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]
SECONDS = 60
INCLUDE = re.compile(r"^\s*#\s*include\b")
DIRECTIVE = re.compile(r"^\s*#\s*(if|ifdef|ifndef|endif|else|elif)\b")
DECLARATION = re.compile(
    r"\s*(?:struct|class|enum|union|template|inline|namespace|PINREF_\w+|PROTOCOL|TEST_CASE)\b")
FUNCTION = re.compile(
    r"\s*(?!(?:if|for|while|switch|do|else|return)\b)[\w:<>*& ]+[ *&]\w+\([^;]*\)[^;=]*\{.*\}\s*$", re.S)
SPECIALIZATION = re.compile(r"\s*template\s*<>\s*struct\s+pinref::")


@dataclass
class Fragment:
    name: str     # where it stands
    path: str     # of the file, for the compiler's messages
    line: int     # of its first line, from 1
    code: str
    prelude: str

    @property
    def alone(self):
        return any(SPECIALIZATION.match(code) for _, code in chunks(self.code))


def chunks(code):
    """(line from 0, text) of each whole declaration or statement, and of each group of directives."""
    lines, plain = code.split("\n"), tree.code_of(code).split("\n")
    begin = depth = nested = 0
    for at, line in enumerate(plain):
        directive = DIRECTIVE.match(line)
        if directive:
            nested += {"endif": -1, "else": 0, "elif": 0}.get(directive.group(1), 1)
        depth += sum(line.count(each) for each in "{([") - sum(line.count(each) for each in "})]")
        text = "".join(plain[begin:at + 1]).rstrip()
        if depth or nested or not (directive or INCLUDE.match(line) or not text or text[-1] in ";}"):
            continue
        yield begin, "\n".join(lines[begin:at + 1])
        begin = at + 1
    if begin < len(lines):
        yield begin, "\n".join(lines[begin:])


def is_declaration(text):
    plain = tree.code_of(text)
    return bool(DIRECTIVE.match(plain) or DECLARATION.match(plain) or FUNCTION.match(plain))


def program(fragments, headers=()):
    """The source of one program, of fragments with the same prelude."""
    includes, bodies, calls = [f"#include <{header}>" for header in headers], [], []
    for number, fragment in enumerate(fragments):
        declared, done = [], []
        for line, text in chunks(fragment.code):
            if INCLUDE.match(text):
                includes.append(text)
                continue
            placed = f'#line {fragment.line + line} "{fragment.path}"\n{text}'
            (declared if is_declaration(text) else done).append(placed)
        body = [*declared, "struct example : scene {", "void run() {", *done, "}", "};"]
        scope = f"example_{number}"
        if not fragment.alone:
            body = [f"namespace {scope} {{", *body, "}"]
        bodies += body
        what = "example" if fragment.alone else f"{scope}::example"
        calls.append(f'  ok = played<{what}>("{fragment.name}") && ok;')
    return "\n".join([
        f'#include "{fragments[0].prelude}.hpp"', *includes,
        *bodies,
        '#line 1 "played"',
        "template <class Example>", "bool played(const char* name) {", "  Example example;", "  example.run();",
        "  if (example.is_clean()) return true;",
        r'  std::printf("%s: a page is held when the example ends\n", name);', "  return false;", "}",
        "int main() {", "  bool ok = true;", *calls, "  return ok ? 0 : 1;", "}", ""])


def build_and_run(command, root, source, arguments=(), output=""):
    """What is wrong with a program, or with what it prints; an empty string for nothing."""
    with tempfile.TemporaryDirectory() as folder:
        # Traces of the explorer name it.
        file, binary = Path(folder, "example.cpp"), Path(folder, "example")
        file.write_text(source)
        folders = [f"-I{each}" for each in (PRELUDES, *(root / each for each in (
            "include", "explorer/include", "tests/explore", "tests/support")))]
        built = subprocess.run([*command, *FLAGS, *arguments, *folders, file, "-o", binary], text=True,
                               capture_output=True, env={**os.environ, "LC_ALL": "C"})
        if built.returncode != 0:
            return f"does not compile:\n{built.stderr}"
        try:
            ran = subprocess.run([binary], text=True, capture_output=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return f"does not end in {SECONDS} seconds"
        if ran.returncode != 0:
            return f"exits with {ran.returncode}:\n{ran.stdout}{ran.stderr}"
        return f"prints:\n{ran.stdout}instead of:\n{output}" if output and ran.stdout != output else ""


def check(command, root, fragments, headers=lambda fragment: ()):
    """(name, how many, what is wrong) of each program."""
    groups = {}
    for fragment in fragments:
        groups.setdefault(fragment.name if fragment.alone else fragment.prelude, []).append(fragment)
    for group in groups.values():
        if group[0].alone:
            group[0].prelude = "own"

    def judge(group):
        wanted = sorted({header for fragment in group for header in headers(fragment)})
        return len(group), build_and_run(command, root, program(group, wanted))

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for name, (n, wrong) in zip(groups, pool.map(judge, groups.values())):
            yield name, n, wrong
