# SPDX-License-Identifier: MIT
"""Every public name of include/pinref has a comment, and every header with functions says what no signature can say.

Names. A public type, concept, alias, variable, function or member, outside namespace detail, has a `///` comment
directly above it or a `///<` behind it. So has each value of an enum, which may instead be a row of the table in the
enum's own comment. A comment also covers

- the next declarations of the same name in the same scope;
- the one-line declarations that follow a one-line declaration without a gap;
- all members of the class, where it says `The members are those of X`, X being a public name.

One declaration is of one name.

Headers. The opening comment of a header that declares functions has four paragraphs, in this order; they may follow
each other without an empty line:

    /// Errors: how a call fails, or that it does not.
    /// Memory order: what its calls order, or none.
    /// Progress: wait-free, lock-free, or what it waits for.
    /// Source: Linux's name, a paper, or pinref's own.

Not asked: constructors and operators that are `= default` or `= delete`, destructors, forward declarations, a host's
page_traits; fwd.hpp, version.hpp and the umbrellas.

`--filter FILE` prints a header as Doxygen is to read it (docs/Doxyfile): each name with the comment that covers it.
"""

import re
import sys
from pathlib import Path

import promises
import tree

PARAGRAPHS = ("Errors", "Memory order", "Progress", "Source")
LABEL = re.compile(r"^/// (%s): ?(.*)" % "|".join(PARAGRAPHS))
MACRO = re.compile(r"^[ \t]*#[ \t]*(define|undef)[ \t]+(PINREF_\w+)")
CONDITION = re.compile(r"[ \t]*#[ \t]*(?:if|ifdef|ifndef|else|elif|endif)\b")
ELSEWHERE = re.compile(r"The members are those of `?(\w+)")
NO_FUNCTION = {"static_assert", "friend"}


class name:
    """One public name: where it stands, and from which line to which its own comment reaches, if it has one."""

    def __init__(self, called, first, last, siblings):
        self.called, self.first, self.last, self.siblings = called, first, last, siblings
        self.above = self.behind = self.elsewhere = None
        self.several = False
        self.values = []

    @property
    def one_line(self):
        return self.first == self.last


def is_function(each):
    return each.parameters() is not None and each.words[0] not in NO_FUNCTION


def called(each):
    """What users call this declaration; None if it gives nothing a name that could have a comment."""
    words, scope, at = each.words, each.scope(), each.parameters()
    if not words or words[0] == "static_assert" or words[0] == "friend" and at is None:
        return None
    if scope:
        return scope[1] if each.ended_by == "{" and scope[0] != "namespace" else None
    if words[0] == "enum":
        return next(word for word in words[1:] if word not in ("class", "struct") and word.isidentifier()) \
            if "{" in words else None
    if words[0] == "using":
        return words[1] if "=" in words else None
    if "concept" in words:
        return words[words.index("concept") + 1]
    if at is not None:
        before, behind = words[:at], words[at:]
        if "~" in before or "default" in behind or "delete" in behind:
            return None
        if "operator" not in before:
            return before[-1]
        which = "".join(before[before.index("operator") + 1:])
        return "operator()" if which == "(" else f"operator{' ' * which.isidentifier()}{which}"
    end = min((words.index(word) for word in ("=", "[") if word in words), default=len(words))
    names = [word for word in words[:end] if word.isidentifier()]
    return names[-1] if names else None


def is_of_several(each):
    """Does it declare more than one variable?"""
    if each.scope() or each.words[0] in ("using", "enum", "template") or each.parameters() is not None \
            or "concept" in each.words:
        return False
    depth = 0
    for word in each.words:
        depth += {"<": 1, ">": -1}.get(word, 0)
        if word == "," and depth == 0:
            return True
    return False


def comment_above(lines, first):
    """The first and the end of the comment directly above a line, or None; an #if may stand between."""
    end = first
    while end > 0 and CONDITION.match(lines[end - 1]):
        end -= 1
    begin = end
    while begin > 0 and re.match(r"\s*///(?!<)", lines[begin - 1]):
        begin -= 1
    return (begin, end) if begin != end else None


def values_of(code, each):
    """The values of an enum: (name, line)."""
    at = code.index("{", each.position)
    body = code[at + 1:each.end]
    for value in re.finditer(r"([A-Za-z_]\w*)[^,}]*[,}]", body):
        yield value.group(1), tree.line_of(code, at + 1 + value.start()) - 1


def names_of(text):
    """All public names of a header. Lines are counted from 0."""
    code, lines = tree.code_of(text), text.split("\n")
    elsewhere = {}
    for each in promises.declarations(code):
        text_name = called(each)
        if text_name is None or not each.scopes or not promises.users_call(each):
            continue
        first, last = (tree.line_of(code, at) - 1 for at in (each.position, each.end))
        found = name(text_name, first, last, each.scopes)
        found.above = comment_above(lines, first)
        found.behind = "///<" in lines[last] or None
        found.several = is_of_several(each)
        inside = tuple(scope[:2] for scope in each.scopes)
        found.elsewhere = elsewhere.get(inside)
        if each.scope() and found.above:
            says = ELSEWHERE.search(" ".join(line.strip(" /") for line in lines[slice(*found.above)]))
            if says:
                elsewhere[(*inside, each.scope())] = says.group(1)
        if each.words[0] == "enum":
            table = "\n".join(lines[slice(*found.above)]) if found.above else ""
            for value, line in values_of(code, each):
                alone = lines[line].strip().startswith(value)
                row = re.search(rf"^\s*///     {value}  +(\S.*)$", table, re.M)
                own = alone and ("///<" in lines[line] or comment_above(lines, line))
                found.values.append((value, line, bool(own), row.group(1) if row else None))
        yield found
    yield from macros_of(lines)


def macros_of(lines):
    found = [(line, *seen.groups()) for line, text in enumerate(lines) if (seen := MACRO.match(text))]
    gone = {macro for _, what, macro in found if what == "undef"}
    for line, what, macro in found:
        if macro not in gone:
            each = name(macro, line, line, "macro")
            each.above = comment_above(lines, line)
            yield each


def covered(names):
    """Each name with the one whose comment speaks for it, or None."""
    last_of, before = {}, None
    for each in names:
        speaker = each if each.above or each.behind else None
        same = last_of.get((each.siblings, each.called))
        if speaker is None and same is not None:
            speaker = same
        neighbours = before is not None and before[0].siblings == each.siblings \
            and before[0].one_line and each.one_line and each.first == before[0].last + 1
        if speaker is None and neighbours and before[1] is not None and before[1].above:
            speaker = before[1]
        yield each, speaker
        last_of[each.siblings, each.called] = speaker
        before = (each, speaker)


def opening_of(text):
    lines = text.split("\n")
    begin = next((i for i, line in enumerate(lines) if line.startswith("///")), len(lines))
    end = begin
    while end < len(lines) and lines[end].startswith("///"):
        end += 1
    return lines[begin:end]


def check_opening(opening):
    at = 0
    for label in PARAGRAPHS:
        found = next((i for i, line in enumerate(opening) if line.startswith(f"/// {label}: ")), None)
        if found is None or not (opening[found - 1] == "///" or begins_paragraph(opening, found)):
            yield f"the opening comment lacks a paragraph `{label}: ...`"
        elif found < at:
            yield f"the opening comment has the paragraph `{label}: ...` too late"
        else:
            at = found


def begins_paragraph(opening, line):
    """Does the paragraph above the line begin with a label too?"""
    line -= 1
    while line > 0 and opening[line] != "///" and not LABEL.match(opening[line]):
        line -= 1
    return bool(LABEL.match(opening[line]))


def asked(root, path):
    base = root / "include" / "pinref"
    header = path.relative_to(base)
    return len(header.parts) > 1


def check(root):
    texts = {path.relative_to(root): path.read_text() for path in tree.headers(root) if asked(root, path)}
    known = {each.called for text in texts.values() for each in names_of(text)}
    for header, text in texts.items():
        if any(map(is_function, promises.declarations(tree.code_of(text)))):
            for wrong in check_opening(opening_of(text)):
                yield f"{header}: {wrong}"
        for each, speaker in covered(names_of(text)):
            if each.several:
                yield f"{header}:{each.first + 1}: {each.called} is not the only name declared there"
            if each.elsewhere is not None and each.elsewhere not in known:
                yield f"{header}:{each.first + 1}: {each.called} is said to be of {each.elsewhere}, which is not public"
            elif speaker is None and each.elsewhere is None:
                yield f"{header}:{each.first + 1}: {each.called} has no comment"
            for value, line, own, row in each.values:
                if not own and row is None:
                    yield f"{header}:{line + 1}: {each.called}::{value} has no comment"


def grouped(path, lines):
    """The lines in the group of their floor; the floor's own header describes it."""
    floor = path.parent.name if path.parent.name != "pinref" else path.stem
    about = next((line for line in opening_of("\n".join(lines)) if line.startswith("/// The floor ")), None)
    if about:
        yield from (*lines, "", f"/// \\defgroup {floor} {floor}/", about.replace("The floor ", ""))
        return
    is_open = False
    for line in lines:
        if is_open and line.startswith("}  // namespace pinref"):
            yield from ("/// \\}", "")
            is_open = False
        yield line
        if line == "namespace pinref {" and path.parent.name != "pinref":
            yield from (f"/// \\addtogroup {floor}", "/// \\{", "")
            is_open = True


def filtered(path):
    """A header with every comment repeated where it counts, its floor as a group, and what Doxygen cannot read made
    plain.
    """
    text = path.read_text()
    code, lines = tree.code_of(text), text.split("\n")
    before, behind = {}, {}
    for each, speaker in covered(names_of(text)):
        if speaker is not None and speaker is not each and speaker.above:
            before.setdefault(each.first, lines[slice(*speaker.above)])
        elif speaker is None and each.elsewhere is not None:
            before[each.first] = [f"/// As `{each.elsewhere}` says."]
        for _, line, own, row in each.values:
            if not own and row is not None:
                behind[line] = f"  ///< {row}"
    for each in promises.declarations(code):
        if "page_traits" in (scope[1] for scope in each.scopes) and called(each) is not None:
            before[tree.line_of(code, each.position) - 1] = ["/// As the table of page_traits.hpp says."]
        elif "==" in each.words and "default" in each.words and promises.users_call(each):
            before[tree.line_of(code, each.position) - 1] = ["/// Compares member by member."]
    result = []
    for number, line in enumerate(lines):
        result += before.get(number, [])
        line = re.sub(r"^(namespace pinref)::inline v\d+_\d+", r"\1", line)
        # So that it sees the members that are inherited.
        line = re.sub(r"(: public basic_ref)<.*> \{", r"\1<Counter> {", line)
        label = LABEL.match(line)
        if label:
            result.append("///")
            line = f"/// **{label.group(1)}:** {label.group(2)}"
        result.append(line + behind.get(number, ""))
    return "\n".join(grouped(path, result))


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--filter":
        sys.stdout.write(filtered(Path(sys.argv[2])))
        sys.exit(0)
    tree.main(__doc__, check)
