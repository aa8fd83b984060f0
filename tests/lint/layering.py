# SPDX-License-Identifier: MIT
"""A header includes only its own floor and the lower ones it needs.

MAY_INCLUDE says which: what no floor needs is not allowed, so that a new arrow is a decision. Each floor has an
umbrella, <floor>.hpp at the top of the folder, that brings every header of the floor but those in BY_NAME and the
umbrellas of floors below it; no header of a floor includes an umbrella. fwd.hpp and version.hpp include nothing of the
library, and every header may include them. pinref.hpp reaches every header of the core, and nobody includes it. No header
includes itself by way of others.
"""

import re

import tree

MAY_INCLUDE = {
    "sync": set(),
    "word": {"sync"},
    "parts": {"sync"},
    "ref": {"word", "sync"},
    "page": {"ref", "word", "sync"},
    "gup": {"page", "sync"},
    "protocols": {"page", "parts", "sync"},
    "handles": {"gup", "page", "sync"},
    "observe": {"ref", "word", "sync"},
    "share": {"gup", "page", "ref", "parts", "word", "sync"},
    "host": {"gup", "page", "parts", "ref", "sync"},
}
# What the core must not cost its users: locks, mmap, stdio.
BESIDE = {"observe", "share", "host"}
# Headers that cost more than their floor: <stop_token>, <system_error>, <memory_resource>.
BY_NAME = {"sync/stop_token.hpp", "gup/errc.hpp", "host/pmr_resource.hpp"}
TOP = {"fwd.hpp", "version.hpp"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def includes(text):
    return [(tree.line_of(text, found.start()), found.group(1), found.group(2))
            for found in INCLUDE.finditer(text)]


def check(root):
    base = root / "include" / "pinref"
    graph = {}
    for path in tree.headers(root):
        name = path.relative_to(base).as_posix()
        graph[name] = set()
        for line, quote, included in includes(path.read_text()):
            where = f"include/pinref/{name}:{line}"
            if not included.startswith("pinref/"):
                if quote == '"':
                    yield f"{where}: \"{included}\": name headers of the library as pinref/..."
                continue
            target = included.removeprefix("pinref/")
            graph[name].add(target)
            if not (base / target).is_file():
                yield f"{where}: no header {included}"
            yield from judge(where, name, target)

    for name in graph:
        if cycle := find_cycle(graph, name):
            yield f"include/pinref/{name}: includes itself: {' > '.join(cycle)}"
    if "pinref.hpp" not in graph:
        yield "include/pinref/pinref.hpp: missing"
        return
    core = {name for name in graph if "/" in name and name.split("/")[0] not in BESIDE} - BY_NAME
    for name in sorted(core - reach(graph, "pinref.hpp")):
        yield f"include/pinref/pinref.hpp: does not reach {name}"
    for floor in MAY_INCLUDE:
        if not any(name.startswith(floor + "/") for name in graph):
            continue
        if f"{floor}.hpp" not in graph:
            yield f"include/pinref/{floor}.hpp: missing"
            continue
        own = {name for name in graph if name.startswith(floor + "/")} - BY_NAME
        for name in sorted(own - graph[f"{floor}.hpp"]):
            yield f"include/pinref/{floor}.hpp: does not include {name}"


def judge(where, name, target):
    if target == "pinref.hpp":
        yield f"{where}: pinref.hpp is for users"
        return
    if name == "pinref.hpp" or target in TOP:
        return
    if name in TOP:
        yield f"{where}: {name} stands below every floor"
        return
    floor, target_floor = name.partition("/")[0].removesuffix(".hpp"), target.partition("/")[0].removesuffix(".hpp")
    if floor not in MAY_INCLUDE:
        yield f"{where}: {floor} is not a floor"
    elif "/" in name and "/" not in target:
        yield f"{where}: {target} is for users"
    elif target_floor != floor and target_floor not in (MAY_INCLUDE[floor] if "/" in name else below(floor)):
        yield f"{where}: {floor} may not include {target_floor}"


def below(floor):
    """Every floor that this one reaches: its umbrella may bring their umbrellas."""
    found = set()
    for other in MAY_INCLUDE[floor]:
        found |= {other} | below(other)
    return found


def reach(graph, start):
    seen, todo = set(), [start]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += graph.get(name, ())
    return seen


def find_cycle(graph, start):
    """A way from `start` back to it, reported once: by the first of its members in the alphabet."""
    todo = [[start]]
    seen = set()
    while todo:
        way = todo.pop()
        for target in sorted(graph.get(way[-1], ())):
            if target == start:
                return [*way, start] if start == min(way) else None
            if target not in seen:
                seen.add(target)
                todo.append([*way, target])
    return None


if __name__ == "__main__":
    tree.main(__doc__, check)
