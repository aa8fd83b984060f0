"""What a fast path costs, read from its disassembly (x86-64, -O2).

The source holds `extern "C"` functions named check_*, each under a line that states its budget:

    // codegen: locked=1 branches=1 loads=0

The fast path runs from the entry to `ret`. At a conditional branch it falls through, unless only the branch leads to a
`ret` of the same function without a call: compilers lay the likely way straight ahead and move the unlikely one out.
Counted on it: locked instructions (`lock` prefix, or `xchg` with memory), conditional branches, and loads before the
first locked instruction. `like=check_other` demands the same instructions, in the same order, as that function has.
A fast path that calls or jumps to another function has no `ret` and fails.

The arguments after `--` are the compiler command. The last line reads `N passed, N failed`.
"""

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77
BUDGET = re.compile(r'^// codegen: (.+)\nextern "C" .*?\b(check_\w+)\(', re.M)
FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.*?)\s*$")


class Instruction:
    def __init__(self, address, text):
        self.address = address
        self.text = text
        words = text.split(None, 1)
        self.locked = words[0] == "lock"
        if self.locked:
            words = words[1].split(None, 1)
        self.name = words[0]
        self.operands = words[1] if len(words) > 1 else ""
        # xchg with memory locks the bus without the prefix; a register pair does not.
        if self.name.startswith("xchg") and "(" in self.operands:
            self.locked = True

    @property
    def shape(self):
        """What it is, apart from where a branch goes."""
        return self.name if self.is_branch or self.is_jump else (self.locked, self.name, self.operands)

    @property
    def is_jump(self):
        return self.name.startswith("jmp")

    @property
    def is_branch(self):
        return self.name.startswith("j") and not self.is_jump

    @property
    def is_return(self):
        return self.name in ("ret", "retq") or (self.name in ("rep", "repz") and "ret" in self.operands)

    @property
    def is_call(self):
        return self.name.startswith("call")

    @property
    def is_load(self):
        """Reads memory: a memory operand that is not the destination. AT&T order: sources first."""
        if self.locked or "(" not in self.operands or self.name.startswith(("lea", "nop")):
            return False
        if self.name.startswith("mov"):
            return not self.operands.rstrip().endswith(")")
        return True

    @property
    def target(self):
        """The address a jump goes to."""
        found = re.match(r"([0-9a-f]+)", self.operands)
        return int(found.group(1), 16) if found else None


def disassemble(program):
    """{function: [Instruction]} of an object file."""
    text = subprocess.run(["objdump", "-d", "-r", "--no-show-raw-insn", program],
                          text=True, capture_output=True, check=True).stdout
    functions = {}
    body = None
    for line in text.splitlines():
        if found := FUNCTION.match(line):
            body = functions.setdefault(found.group(1), [])
        elif body is not None and "R_X86_64_" in line:
            body[-1].relocated = True
        elif body is not None and (found := INSTRUCTION.match(line)) and found.group(2):
            body.append(Instruction(int(found.group(1), 16), found.group(2)))
    return functions


def reaches_return(body, index, seen):
    """Whether a `ret` follows from `index` without leaving the function or calling another."""
    while 0 <= index < len(body) and index not in seen:
        seen.add(index)
        here = body[index]
        if here.is_return:
            return True
        if here.is_call:
            return False
        target = index_of(body, here)
        if here.is_jump:
            if target is None:
                return False
            index = target
            continue
        if here.is_branch and target is not None and reaches_return(body, target, seen):
            return True
        index += 1
    return False


def index_of(body, jump):
    """Where in `body` a jump goes; None when it leaves the function."""
    if getattr(jump, "relocated", False):
        return None
    return next((i for i, other in enumerate(body) if other.address == jump.target), None)


def fast_path(body):
    """The instructions from the entry to `ret`, or None if the path leaves the function."""
    path = []
    index = 0
    while index < len(body):
        here = body[index]
        if here in path:
            return None
        path.append(here)
        if here.is_return:
            return path
        if here.is_call:
            return None
        if here.is_jump:
            index = index_of(body, here)
            if index is None:
                return None
            continue
        if here.is_branch and not reaches_return(body, index + 1, set()):
            index = index_of(body, here)
            if index is None:
                return None
            continue
        index += 1
    return None


def costs(path):
    locks = [i for i, instruction in enumerate(path) if instruction.locked]
    before = path[:locks[0]] if locks else path
    return {
        "locked": len(locks),
        "branches": sum(instruction.is_branch for instruction in path),
        "loads": sum(instruction.is_load for instruction in before),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("source", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    if platform.machine() not in ("x86_64", "AMD64"):
        print(f"the budgets are for x86-64, this is {platform.machine()}")
        return SKIP
    if not shutil.which("objdump"):
        print("objdump (binutils) is not installed")
        return SKIP

    text = options.source.read_text()
    budgets = {name: dict(part.split("=") for part in budget.split()) for budget, name in BUDGET.findall(text)}
    stated = set(re.findall(r"\bcheck_\w+(?=\()", text))
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "code.o"))
        subprocess.run([*options.command, "-std=c++20", "-O2", "-fno-asynchronous-unwind-tables",
                        "-fcf-protection=none", f"-I{options.root / 'include'}",
                        "-c", options.source, "-o", program], check=True)
        functions = disassemble(program)

    passed = failed = 0
    for name in sorted(stated - set(budgets)):
        failed += 1
        print(f"{name}: no `// codegen:` line above it")
    print(f"{'function':<28} {'locked':>7} {'branches':>9} {'loads':>6} {'instructions':>13}")
    for name, budget in budgets.items():
        body = functions.get(name, [])
        path = fast_path(body)
        if path is None:
            failed += 1
            print(f"{name:<28} no way to ret within the function:")
            print("\n".join(f"    {i.address:4x}: {i.text}" for i in body))
            continue
        cost = costs(path)
        print(f"{name:<28} {cost['locked']:>7} {cost['branches']:>9} {cost['loads']:>6} {len(path):>13}")
        over = [f"{key} is {cost[key]}, not {value}" for key, value in budget.items()
                if key != "like" and cost[key] != int(value)]
        if "like" in budget:
            model = fast_path(functions.get(budget["like"], [])) or []
            if [i.shape for i in path] != [i.shape for i in model]:
                over.append(f"not the instructions of {budget['like']}")
        if over:
            failed += 1
            print(f"    {', '.join(over)}; the fast path:")
            print("\n".join(f"    {i.address:4x}: {i.text}" for i in path))
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
