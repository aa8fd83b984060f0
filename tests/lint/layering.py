"""A header includes only its own floor and lower ones.

The floors, low to high: word ref page gup hold decide. Beside them stand observe, which may include word, ref and page,
and host, which may include every floor; no floor includes either. fwd.hpp and version.hpp, at the top of the folder,
include nothing of the library, and every header may include them. pinref.hpp reaches every header, and nobody includes
it. No header includes itself by way of others.
"""

import re

import tree

FLOORS = ["word", "ref", "page", "gup", "hold", "decide"]
MAY_INCLUDE = {floor: set(FLOORS[:height + 1]) for height, floor in enumerate(FLOORS)}
MAY_INCLUDE["observe"] = {"word", "ref", "page", "observe"}
MAY_INCLUDE["host"] = {*FLOORS, "host"}
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
    # host/ and observe/ bring in what the core must not cost its users: locks, mmap, stdio. So does <stop_token>.
    floors = {name for name in graph if name.split("/")[0] not in ("host", "observe") and name != "ref/stop_token.hpp"}
    for name in sorted(floors - reach(graph, "pinref.hpp")):
        yield f"include/pinref/pinref.hpp: does not reach {name}"


def judge(where, name, target):
    if target == "pinref.hpp":
        yield f"{where}: pinref.hpp is for users"
        return
    if name == "pinref.hpp" or target in TOP:
        return
    if name in TOP:
        yield f"{where}: {name} stands below every floor"
        return
    floor, target_floor = name.partition("/")[0], target.partition("/")[0]
    if floor not in MAY_INCLUDE:
        yield f"{where}: {floor} is not a floor"
    elif target_floor not in MAY_INCLUDE[floor]:
        yield f"{where}: {floor} may not include {target_floor}"


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
