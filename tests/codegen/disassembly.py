# SPDX-License-Identifier: MIT
"""Reads the disassembly of an object file, x86-64 or aarch64, and finds the fast path of its functions."""

import re
import shutil
import subprocess
from collections import deque

FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(.*?)\s*$")
RELOCATION = re.compile(r"\bR_(?:X86_64|AARCH64)_\w+\s+(\S+)")


PADDING = re.compile(r"^((cs|ds|data16) +)+(?=nop)")  # prefixes that make a long one


class Instruction:
    """Of x86-64, in AT&T order: sources first."""

    def __init__(self, address, text):
        self.address = address
        self.text = text
        words = PADDING.sub("", text).split(None, 1)
        self.locked = words[0] == "lock"
        if self.locked:
            words = words[1].split(None, 1)
        self.name = words[0]
        self.operands = words[1] if len(words) > 1 else ""
        # xchg with memory locks the bus without the prefix; a register pair does not.
        if self.name.startswith("xchg") and "(" in self.operands:
            self.locked = True
        self.relocated = False

    def relocate(self, symbol):
        """The linker fills in `symbol`."""
        self.relocated = True

    @property
    def fetches(self):
        """Brings the old value along: an answer that the flags could have given."""
        return self.locked and self.name.startswith(("xadd", "xchg", "cmpxchg"))

    @property
    def is_atomic(self):
        """Reads or changes a word for all threads."""
        return self.locked

    @property
    def is_move(self):
        """Only brings a value from one register to another."""
        return re.fullmatch(r"movl?q?", self.name) is not None and not re.search(r"[($#]|zr", self.operands)

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
        found = re.search(r"(?:^|\s)([0-9a-f]+)(?: <|$)", self.operands)
        return int(found.group(1), 16) if found else None


class ArmInstruction(Instruction):
    """Of aarch64. Locked is an atomic read-modify-write: one instruction, the store of an exclusive pair, or the call of
    a function of the compiler's that chooses between them (-moutline-atomics)."""

    LOCKED = re.compile(r"(ld|st)(add|clr|eor|set|[su]m(ax|in))(a|l|al)?[bh]?$|swp|cas|stl?x")
    BRANCH = re.compile(r"b\.|cbn?z$|tbn?z$")
    OUTLINE = re.compile(r"__aarch64_(ld(add|clr|eor|set)|swp|cas)\d+_")

    def __init__(self, address, text):
        super().__init__(address, text.split("//")[0].rstrip())
        self.locked = self.LOCKED.match(self.name) is not None

    def relocate(self, symbol):
        super().relocate(symbol)
        if self.is_call and self.OUTLINE.match(symbol):
            self.locked = True
            self.name, self.operands = symbol, ""

    @property
    def is_atomic(self):
        return self.locked or re.fullmatch(r"lda?xr", self.name) is not None

    @property
    def is_jump(self):
        return self.name in ("b", "br")

    @property
    def is_branch(self):
        return self.BRANCH.match(self.name) is not None

    @property
    def is_return(self):
        return self.name == "ret"

    @property
    def is_call(self):
        return self.name in ("bl", "blr")

    @property
    def is_load(self):
        return not self.locked and self.name.startswith("ld")


def is_arm(command):
    """Whether a compiler command makes programs for aarch64."""
    return any("aarch64" in word for word in command)


def objdump(command):
    return "aarch64-linux-gnu-objdump" if is_arm(command) else "objdump"


def missing(command):
    """What is not installed that such a command needs to be read, or nothing."""
    # Clang takes the headers of the other compiler.
    needed = [command[0], objdump(command), *(["aarch64-linux-gnu-g++"] if is_arm(command) else [])]
    return next((program for program in needed if not shutil.which(program)), None)


def disassemble(program, command=()):
    """{function: [Instruction]} of an object file that the compiler command made."""
    text = subprocess.run([objdump(command), "-d", "-r", "--no-show-raw-insn", program],
                          text=True, capture_output=True, check=True).stdout
    kind = ArmInstruction if "aarch64" in text.split("\n\n", 1)[0] else Instruction
    functions = {}
    body = None
    for line in text.splitlines():
        if found := FUNCTION.match(line):
            body = functions.setdefault(found.group(1), [])
        elif body is not None and (found := RELOCATION.search(line)):
            body[-1].relocate(found.group(1))
        elif body is not None and (found := INSTRUCTION.match(line)) and found.group(2):
            body.append(kind(int(found.group(1), 16), found.group(2)))
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
    if jump.relocated:
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


def shortest_path(body, never_locked=False):
    """The fewest instructions from the entry to `ret` that are locked at least once, if the function has any such; or of
    which none is."""
    wanted = not never_locked and any(instruction.locked for instruction in body)
    queue = deque([(0, False, ())])
    seen = set()
    while queue:
        index, locked, before = queue.popleft()
        if index is None or index >= len(body) or (index, locked) in seen:
            continue
        seen.add((index, locked))
        here = body[index]
        path = (*before, here)
        locked = locked or here.locked
        if here.is_return and (locked or not wanted):
            return list(path)
        if here.is_return or here.is_call or (never_locked and here.locked):
            continue
        if here.is_branch or here.is_jump:
            queue.append((index_of(body, here), locked, path))
        if not here.is_jump:
            queue.append((index + 1, locked, path))
    return None
