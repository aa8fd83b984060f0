# SPDX-License-Identifier: MIT
"""Every atomic access in include/pinref names its memory order, no order is seq_cst, and there is no fence.

An access is a call of load, store, exchange, fetch_*, compare_exchange_* or wait on an atomic, and any use of one by an
operator. The call must name an order: memory_order_..., memory_order::... or a parameter called order. An atomic is
what some header declares as one; where another header declares the same name as something else, it is not one there.
"""

import re

import tree

BANNED = re.compile(
    r"\b(memory_order_seq_cst|memory_order::seq_cst|seq_cst|atomic_thread_fence|atomic_signal_fence"
    r"|__sync_synchronize|__sync_\w+|memory_order_consume)\b")
ACCESS = re.compile(
    r"(\w+|[)\]])\s*(?:\.|->)\s*(load|store|exchange|fetch_\w+|compare_exchange_\w+|test_and_set|wait)\s*(?=\()")
DECLARED = re.compile(r"\batomic(?:_ref)?(?:\s*<[^;{}()]*>|\s)\s*&?\s*(\w+)\s*(?=[;={,)(\[])")
FREE = re.compile(r"\batomic_(?:load|store|exchange|fetch_\w+|compare_exchange_\w+?)(?:_explicit)?\s*\(")
ORDER = re.compile(r"\bmemory_order(_|::)\w+|\w*order\b")


def arguments_after(code, position):
    """The text between the parenthesis at `position` and its partner."""
    depth = 0
    for index in range(position, len(code)):
        depth += {"(": 1, ")": -1}.get(code[index], 0)
        if depth == 0:
            return code[position + 1:index]
    return code[position + 1:]


def declares_otherwise(code, name):
    """Whether `code` declares a member or variable `name`, of whatever type."""
    return any(found.group(1) not in ("return", "delete")
               for found in re.finditer(rf"([\w>&*]+)\s+{name}\s*(?:;|\{{|\[|=(?!=))", code))


def check(root):
    codes = {path.relative_to(root).as_posix(): tree.code_of(path.read_text())
             for path in tree.headers(root)}
    declared = {name: {found.group(1) for found in DECLARED.finditer(code)}
                for name, code in codes.items()}
    everywhere = set().union(*declared.values()) if declared else set()
    for name, code in codes.items():
        atomics = declared[name] | {atomic for atomic in everywhere - declared[name]
                                    if not declares_otherwise(code, atomic)}
        for position, what in findings(code, atomics):
            yield f"{name}:{tree.line_of(code, position)}: {what}"


def findings(code, atomics):
    for found in BANNED.finditer(code):
        yield found.start(), found.group(1)
    for found in FREE.finditer(code):
        yield found.start(), "a free function on an atomic: use the member"
    for found in ACCESS.finditer(code):
        receiver, access = found.group(1), found.group(2)
        # What a call or an index gives is taken for an atomic; wait is too common a name for that.
        is_atomic = receiver in atomics or (receiver in ")]" and access != "wait")
        if is_atomic and not ORDER.search(arguments_after(code, found.end())):
            yield found.start(), f"{access} of {receiver} without a memory order"
    for atomic in sorted(atomics):
        for found in re.finditer(
                rf"(?:\+\+|--)\s*{atomic}\b|\b{atomic}\s*(?:\+\+|--|(?:[-+|&^])?=(?!=))", code):
            # `atomic<T> x = ...` declares; the operator is what the lint looks for.
            if not re.search(r"[\w>&]\s+$|>$", code[:found.start()]) or "=" not in found.group():
                yield found.start(), f"an operator on the atomic {atomic}"


if __name__ == "__main__":
    tree.main(__doc__, check)
