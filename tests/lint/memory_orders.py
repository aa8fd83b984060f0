# SPDX-License-Identifier: MIT
"""Every acquire and release in include/pinref is numbered, says what it pairs with, and stands in docs/memory-model.md.

In a header. A statement that names memory_order_acquire, memory_order_release or memory_order_acq_rel (also
memory_order::acquire and so on) has this comment directly above it, or behind it on the same line:

    // (R7) pairs with (R1), (R3): why the order is needed.

- The number, one capital letter and digits, stands for one statement and is unique in the library. The letter groups
  the statements of one protocol.
- `pairs with` is followed by the numbers of all partners, joined by `, ` or ` and `, and by a colon. A partner names
  this one in turn. Of two partners one releases and the other acquires; acq_rel does both.
- `pairs with the host: why` is the form for a partner that is not in the library. It may follow numbers:
  `pairs with (R1), the host: why`.
- The comment may run on over several lines. A further comment line between it and the statement belongs to it.
- A relaxed access needs no number. It may have one, where its being relaxed needs an argument; then its partners may
  have any order.

In docs/memory-model.md. One table row for each number, and no others, with these five columns first (a sixth may say
more):

    | no. | where | order | pairs with | why |
    |---|---|---|---|---|
    | (R7) | word/zoned_word.hpp load_ordered | acq_rel | (R1), (R3) | ... |

`where` starts with the header's path below include/pinref, `order` lists the orders that the statement names, joined by
`, ` in the order of the text, and `pairs with` equals the comment's, joined by `, `. `--table` prints the rows that the
headers ask for.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import tree

ORDER = re.compile(r"\bmemory_order(?:_|::)(acquire|release|acq_rel|relaxed)\b")
NUMBER = r"\([A-Z]\d+\)"
COMMENT = re.compile(rf"//\s*({NUMBER})\s*(.*)", re.S)
PAIRS = re.compile(
    rf"pairs with ((?:{NUMBER}|the host)(?:(?:, | and )(?:{NUMBER}|the host))*):\s*\S", re.S)
ROW = re.compile(rf"^\|\s*({NUMBER})\s*\|(.*)\|\s*$", re.M)
HEADING = re.compile(r"^\|\s*no\.\s*\|\s*where\s*\|\s*order\s*\|\s*pairs with\s*\|", re.M)
ACQUIRES = {"acquire", "acq_rel"}
RELEASES = {"release", "acq_rel"}


@dataclass
class Site:
    number: str
    header: str
    line: int
    orders: list
    partners: list
    why: str

    @property
    def where(self):
        return f"include/pinref/{self.header}:{self.line}"


def statements(code):
    """(first line, last line) of each statement that names an order, counted from 0."""
    lines = code.split("\n")
    spans = set()
    for index, line in enumerate(lines):
        if not ORDER.search(line):
            continue
        first = index
        while first > 0 and lines[first - 1].strip() and not re.search(r"[;{}]\s*$|^\s*#", lines[first - 1]):
            # A label or an access specifier ends what is above it.
            if re.search(r"^\s*(?:case\b.*|default|public|private|protected)\s*:\s*$", lines[first - 1]):
                break
            first -= 1
        last = index
        while last + 1 < len(lines) and not re.search(r"[;{}]\s*$", lines[last]):
            last += 1
        spans.add((first, last))
    merged = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def comment_for(lines, first, last):
    """The numbered comment of a statement: behind one of its lines, or in the comment above it."""
    for index in range(first, last + 1):
        if "//" in lines[index] and (found := COMMENT.search(lines[index])):
            return found.group(1), found.group(2)
    block = []
    index = first - 1
    while index >= 0 and lines[index].lstrip().startswith("//"):
        block.insert(0, lines[index].strip())
        index -= 1
    text = "\n".join(block)
    if found := COMMENT.search(text):
        rest = re.sub(r"\s*\n//+\s*", " ", found.group(2))
        return found.group(1), rest
    return None, ""


def read_sites(root, findings):
    """All numbered statements; what has no or a malformed comment goes to `findings`."""
    sites = []
    base = root / "include" / "pinref"
    for path in tree.headers(root):
        text = path.read_text()
        code, lines = tree.code_of(text), text.split("\n")
        header = path.relative_to(base).as_posix()
        used = set()
        for first, last in statements(code):
            orders = ORDER.findall("\n".join(code.split("\n")[first:last + 1]))
            number, rest = comment_for(lines, first, last)
            where = f"include/pinref/{header}:{first + 1}"
            if number is None:
                if set(orders) != {"relaxed"}:
                    findings.append(f"{where}: {', '.join(orders)} without a numbered comment")
                continue
            used.add(number)
            found = PAIRS.match(rest)
            if not found:
                findings.append(f"{where}: {number} is not followed by `pairs with (X1), ...: why`")
                continue
            partners = re.split(", | and ", found.group(1))
            sites.append(Site(number, header, first + 1, orders, partners, rest[found.end() - 1:]))
        for index, line in enumerate(lines):
            found = re.match(rf"\s*//\s*({NUMBER})", line)
            if found and found.group(1) not in used:
                findings.append(f"include/pinref/{header}:{index + 1}: {found.group(1)} has no statement")
    return sites


def check_pairs(sites):
    by_number = {}
    for site in sites:
        if site.number in by_number:
            yield f"{site.where}: {site.number} also stands at {by_number[site.number].where}"
        by_number[site.number] = site
    for site in sites:
        for partner in site.partners:
            if partner == "the host":
                continue
            other = by_number.get(partner)
            if other is None:
                yield f"{site.where}: {site.number} pairs with {partner}, which does not exist"
                continue
            if site.number not in other.partners:
                yield f"{site.where}: {site.number} pairs with {partner}, which does not name it back"
            mine, theirs = set(site.orders), set(other.orders)
            relaxed = {"relaxed"} in (mine, theirs)
            matched = (mine & RELEASES and theirs & ACQUIRES) or (mine & ACQUIRES and theirs & RELEASES)
            if not relaxed and not matched:
                yield (f"{site.where}: {site.number} ({', '.join(site.orders)}) and {partner} "
                       f"({', '.join(other.orders)}) are no release with an acquire")


def check_table(root, sites):
    path = root / "docs" / "memory-model.md"
    name = "docs/memory-model.md"
    if not path.is_file():
        yield f"{name}: missing"
        return
    text = path.read_text()
    if not HEADING.search(text):
        yield f"{name}: no table with the heading | no. | where | order | pairs with |"
    rows = {}
    for found in ROW.finditer(text):
        where = f"{name}:{tree.line_of(text, found.start())}"
        number, cells = found.group(1), [cell.strip() for cell in found.group(2).split("|")]
        if number in rows:
            yield f"{where}: {number} has two rows"
        rows[number] = (where, cells)
    known = {site.number: site for site in sites}
    for number in sorted(set(rows) - set(known)):
        yield f"{rows[number][0]}: {number} is in no header"
    for number, site in known.items():
        if number not in rows:
            yield f"{name}: no row for {number} ({site.where})"
            continue
        where, cells = rows[number]
        wanted = {"where": site.header, "order": ", ".join(site.orders),
                  "pairs with": ", ".join(site.partners)}
        if len(cells) < 3:
            yield f"{where}: {number} has too few cells"
            continue
        if cells[0].split(" ")[0].strip("`") != site.header:
            yield f"{where}: {number} is in {site.header}, not in {cells[0]}"
        for column, cell in (("order", cells[1]), ("pairs with", cells[2])):
            if cell.replace("`", "") != wanted[column]:
                yield f"{where}: {number}: {column} should be {wanted[column]}, not {cell}"


def check(root):
    findings = []
    sites = read_sites(root, findings)
    yield from findings
    if not sites:
        yield "include/pinref: not one numbered memory order"
    yield from check_pairs(sites)
    yield from check_table(root, sites)


def print_table(root):
    print("| no. | where | order | pairs with | why |\n|---|---|---|---|---|")
    for site in sorted(read_sites(root, []), key=lambda s: (s.number[1], int(s.number[2:-1]))):
        print(f"| {site.number} | {site.header} | {', '.join(site.orders)} "
              f"| {', '.join(site.partners)} | {site.why} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    known_options, _ = parser.parse_known_args()
    if known_options.table:
        print_table(known_options.root.resolve())
        sys.exit(0)
    tree.main(__doc__, check)
