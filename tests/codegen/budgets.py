# SPDX-License-Identifier: MIT
"""What a fast path costs, read from its disassembly, at every level of optimisation that people ship.

The source holds functions of C linkage named check_*, each under a line that states its budget:

    // codegen: locked=1 fetches=0 branches=1 loads=0

The fast path runs from the entry to `ret`. At a conditional branch it falls through, unless only the branch leads to a
`ret` of the same function without a call: compilers lay the likely way straight ahead and move the unlikely one out.
With -Os they do not, and the fast path of a function with locked=0 is the shortest that has none.

Counted on it: locked instructions (`lock` prefix, or `xchg` with memory), those among them that fetch the old value,
conditional branches, and loads before the first locked instruction. `like=check_other` demands the same instructions,
in the same order, as that function has, `most=check_other` the same atomic ones, and no more in all, but for moves from
register to register, on the shortest way of both.
`branches@-O1=6` allows up to six at -O1, where clang does not see what a branch before it has decided. A fast path that
calls or jumps to another function has no `ret` and fails: it is to be inline at every level.

A source in C is compiled by the C compiler of the same name; `like` and `most` then find the functions of the sources in
C++ beside it, so that both languages have the same instructions. At -O1, where compilers leave them as they happen to
come, their order and registers may differ.

The arguments after `--` are the compiler command. Budgets are those of x86-64; of a compiler for aarch64 only the
languages are compared. The last line reads `N passed, N failed`.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from disassembly import disassemble, fast_path, is_arm, missing, shortest_path

SKIP = 77
MODELS = ["fast_path.cpp", "question.cpp"]
LEVELS = ["-O1", "-O2", "-O3", "-Os"]
COUNTED = ["locked", "fetches", "branches", "loads"]
BUDGET = re.compile(r'^// codegen: (.+)\n(?:extern "C" )?.*?\b(check_\w+)\(', re.M)


def costs(path):
    locks = [i for i, instruction in enumerate(path) if instruction.locked]
    before = path[:locks[0]] if locks else path
    return {
        "locked": len(locks),
        "fetches": sum(instruction.fetches for instruction in path),
        "branches": sum(instruction.is_branch for instruction in path),
        "loads": sum(instruction.is_load for instruction in before),
    }


def c_compiler(command):
    """That of the same family and version: gcc-13 of g++-13."""
    path = Path(command)
    name = path.name.replace("clang++", "clang").replace("g++", "gcc").replace("c++", "cc")
    return str(path.with_name(name)) if path.parent.name else name


def compiled(root, cxx, level, source):
    """{function: [Instruction]} of a source, by the compiler command `cxx` or its sibling for C."""
    command = [*cxx, "-std=c++20"]
    if source.suffix == ".c":
        command = [c_compiler(cxx[0]), *cxx[1:], "-std=c11"]
    plain = ["-fno-asynchronous-unwind-tables", *([] if is_arm(cxx) else ["-fcf-protection=none"])]
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "code.o"))
        subprocess.run([*command, level, *plain, f"-I{root / 'include'}", f"-I{root / 'c' / 'include'}",
                        "-c", source, "-o", program], check=True)
        return disassemble(program, cxx)


def shapes(path, loose):
    return sorted(i.name for i in path) if loose else [i.shape for i in path]


def check(name, budget, functions, level, in_c):
    """Whether a function keeps to its budget; prints what it costs."""
    body = functions.get(name, [])
    never_locked = level == "-Os" and budget.get("locked") == "0"
    path = shortest_path(body, never_locked=True) if never_locked else fast_path(body)
    if path is None:
        print(f"{name:<28} no way to ret within the function:")
        print("\n".join(f"    {i.address:4x}: {i.text}" for i in body))
        return False
    cost = costs(path)
    print(f"{name:<28}" + "".join(f"{cost[title]:>{len(title) + 2}}" for title in COUNTED) + f"{len(path):>14}")
    over = []
    for key, value in budget.items():
        most = budget.get(f"{key}@{level}", value)
        if key in COUNTED and not int(value) <= cost[key] <= int(most):
            over.append(f"{key} is {cost[key]}, not {value}" + (f" to {most}" if most != value else ""))
    if "like" in budget:
        model = fast_path(functions.get(budget["like"], [])) or []
        loose = level == "-O1" and in_c
        if not model or shapes(path, loose) != shapes(model, loose):
            over.append(f"not the instructions of {budget['like']}")
    if "most" in budget:
        own, model = (shortest_path(functions.get(each, []), never_locked) or [] for each in (name, budget["most"]))
        if sum(not i.is_move for i in own) > sum(not i.is_move for i in model):
            over.append(f"more instructions than {budget['most']}")
        if not model or [i.name for i in own if i.is_atomic] != [i.name for i in model if i.is_atomic]:
            over.append(f"not the atomic instructions of {budget['most']}")
    if over:
        print(f"    {', '.join(over)}; the fast path:")
        print("\n".join(f"    {i.address:4x}: {i.text}" for i in path))
    return not over


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("source", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    arm = is_arm(options.command)
    if not arm and platform.machine() not in ("x86_64", "AMD64"):
        print(f"the budgets are for x86-64, this is {platform.machine()}")
        return SKIP
    if lacking := missing(options.command):
        print(f"{lacking} is not installed")
        return SKIP

    in_c = options.source.suffix == ".c"
    if in_c and not shutil.which(c_compiler(options.command[0])):
        print("there is no C compiler of the same name")
        return SKIP

    text = options.source.read_text()
    budgets = {name: dict(part.split("=") for part in budget.split()) for budget, name in BUDGET.findall(text)}
    if arm:
        budgets = {name: {key: value for key, value in budget.items() if key in ("like", "most")}
                   for name, budget in budgets.items()}
    stated = set(re.findall(r"\bcheck_\w+(?=\()", text))
    passed = failed = 0
    for name in sorted(stated - set(budgets)):
        failed += 1
        print(f"{name}: no `// codegen:` line above it")
    for level in LEVELS:
        functions = {}
        for model in MODELS if in_c else []:
            functions |= compiled(options.root, options.command, level, options.source.parent / model)
        functions |= compiled(options.root, options.command, level, options.source)
        print(f"{level:<28}" + "".join(f"{title:>{len(title) + 2}}" for title in [*COUNTED, "instructions"]))
        for name, budget in budgets.items():
            good = check(name, budget, functions, level, in_c)
            passed += good
            failed += not good
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
