# SPDX-License-Identifier: MIT
"""Every function of include/pinref is noexcept, and whoever calls it may not ignore what it returns.

A function declared in a namespace or a class has `noexcept`, whoever may call it. One that users call and that returns
something has `[[nodiscard]]`, on itself or on the type it returns. Every `[[nodiscard]]` belongs to such a declaration
or to a type, so none is misread.

Not asked: `noexcept` of destructors, of what is `= default` or `= delete`, which have it by themselves, and of
consteval; `[[nodiscard]]` of assignments, of what is private or in a namespace detail, of a host's page_traits, which
the library calls, and of MAY_BE_IGNORED. The page_traits made of a page's members are as these are; concepts judge
them.
"""

import re

import tree

# What these return is a by-product of what they do.
MAY_BE_IGNORED = {
    "parts/share_count.hpp": {"share_count::unmap", "share_count::swap_free"},
    "parts/deferred_list.hpp": {"deferred_list::drain"},
    "host/page_table.hpp": {"basic_page_table::map", "basic_page_table::map_page"},
    "ref/page_ref.hpp": {"basic_ref::make_exact", "basic_ref::set_host_bits", "basic_ref::clear_host_bits"},
    # Says what they were before.
    "word/bias_word.hpp": {"bias_word::set_bits", "bias_word::clear_bits"},
    "word/zoned_word.hpp": {"zoned_word::set_bits", "zoned_word::clear_bits"},
    "word/hot_word.hpp": {"hot_word::make_exact"},
    # Where the host has a free_page, which has been told already.
    "page/page.hpp": {"put_page", "unpin_user_page"},
    "sync/hot_threads.hpp": {"hot_threads::enter", "hot_threads::enroll"},
}
MEMBERS = "page/page_members.hpp"
# In a namespace detail, but what users' types are made of.
BASES = {"page_handle"}
TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w'.]*|::|->|[=!<>]=|&&|\|\||\[\[|\]\]|\S")
CLOSING = {"(": ")", "{": "}", "[[": "]]"}
NO_NAME = {"decltype", "noexcept", "alignas", "requires", "explicit", "static_assert"}
NO_TYPE = {"constexpr", "consteval", "inline", "static", "friend", "explicit", "void", "PINREF_FAST_PATH",
           "PINREF_SLOW_PATH"}
ACCESS = {"public", "protected", "private"}


class declaration:
    """One declaration: its words, without attributes, and without what stands in brackets."""

    def __init__(self, scopes=()):
        self.all_words, self.attributes, self.position, self.scopes = [], [], None, scopes
        self.end, self.ended_by = None, None

    def add(self, word, position):
        self.begin(position)
        self.all_words.append(word)

    def begin(self, position):
        if self.position is None:
            self.position = position

    @property
    def words(self):
        """Those after `template <...>`."""
        words = self.all_words
        while words[:1] == ["template"]:
            depth = 0
            for i, word in enumerate(words[1:], 1):
                depth += {"<": 1, ">": -1}.get(word, 0)
                if depth == 0:
                    break
            words = words[i + 1:]
        return words

    def scope(self):
        """What kind it opens, and its name; None for anything else."""
        words = self.words
        if words[:1] not in (["namespace"], ["class"], ["struct"], ["union"], ["extern"]) or "=" in words:
            return None
        named = [word for word in words[1:] if word.isidentifier() and word != "alignas"]
        return words[0], named[-1] if words[0] == "namespace" and named else named[0] if named else ""

    def parameters(self):
        """Where in `words` the bracket after a function's name stands; None for anything else."""
        words = self.words
        if words[:1] in ([], ["using"], ["enum"]) or "concept" in words:
            return None
        depth = 0
        for i, word in enumerate(words):
            if i and words[i - 1] == "operator":
                continue
            depth += {"<": 1, ">": -1}.get(word, 0)
            if depth == 0 and word == "=":
                return None
            if depth == 0 and word == "(" and i and words[i - 1] not in NO_NAME:
                return i
        return None


def close(tokens, at):
    """The index of the token that closes the bracket at `at`."""
    opening, depth = tokens[at][0], 0
    while True:
        depth += {opening: 1, CLOSING[opening]: -1}.get(tokens[at][0], 0)
        if depth == 0:
            return at
        at += 1


def declarations(text):
    """Every declaration in a namespace or a class, without bodies. A scope is (kind, name, access)."""
    text = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda found: tree.blank(found.group()), text, flags=re.M)
    tokens = [(found.group(), found.start()) for found in TOKEN.finditer(text)]
    scopes = []
    current = declaration()
    at = 0
    while at < len(tokens):
        word, position = tokens[at]
        ended = word in ("}", ";")
        if word == "}" and scopes:
            scopes.pop()
        elif word == "[[":
            last = close(tokens, at)
            current.begin(position)
            current.attributes += [each for each, _ in tokens[at + 1:last]]
            at = last
        elif word == "{" and current.scope():
            opened = current.scope()
            scopes.append((*opened, "private" if opened[0] == "class" else "public"))
            ended = True
        elif word == "{" and current.parameters() is not None and tokens[at - 1][0] in (")", "}", "const", "noexcept"):
            at, ended = close(tokens, at), True
        elif word in CLOSING:
            current.add(word, position)
            at = close(tokens, at)
        elif word == ":" and current.all_words and current.all_words[0] in ACCESS:
            scopes[-1] = (*scopes[-1][:2], current.all_words[0])
            current = declaration(tuple(scopes))
        elif not ended:
            current.add(word, position)
        if ended:
            if current.all_words:
                current.end, current.ended_by = tokens[at][1], word
                yield current
            current = declaration(tuple(scopes))
        at += 1


def users_call(each):
    names = [name for _, name, _ in each.scopes]
    if not BASES & set(names) and {"detail", "page_traits"} & set(names):
        return False
    return all(access == "public" for _, _, access in each.scopes)


def check(root):
    base = root / "include" / "pinref"
    texts = {path.relative_to(base).as_posix(): tree.code_of(path.read_text()) for path in tree.headers(root)}
    all_of = {name: list(declarations(text)) for name, text in texts.items()}
    types = {each.scope()[1] for found in all_of.values() for each in found
             if each.scope() and "nodiscard" in each.attributes}
    for name, found in all_of.items():
        if name == MEMBERS:
            continue
        by_product = MAY_BE_IGNORED.get(name, set())
        ignored = set()
        for each in found:
            at = each.parameters()
            if at is None:
                continue
            words, behind = each.words[:at], each.words[at:]
            called = " ".join(words[words.index("operator"):]) if "operator" in words else words[-1]
            called = "operator()" if called == "operator (" else called
            if each.scopes and each.scopes[-1][0] != "namespace":
                called = f"{each.scopes[-1][1]}::{called}"
            where = f"include/pinref/{name}:{tree.line_of(texts[name], each.position)}: {called}"
            if "~" in words or "default" in behind or "delete" in behind:
                continue
            if "consteval" not in words and ("noexcept" not in behind or "noexcept (" in " ".join(behind)):
                yield f"{where} is not noexcept"
            # Of a class, and defined outside of it: judged where it is declared.
            if len(words) > 1 and words[-2] == "::":
                continue
            result = [word for word in words[:-1] if word.isidentifier()]
            returns = "operator" in words or [word for word in result if word not in NO_TYPE]
            if not returns or "=" in words or "void" in words and "*" not in words or not users_call(each):
                continue
            if "nodiscard" in each.attributes or types & set(result):
                continue
            if called in by_product:
                ignored.add(called)
            else:
                yield f"{where} returns what may be ignored: neither it nor its type is nodiscard"
        for lost in sorted(by_product - ignored):
            yield f"include/pinref/{name}: no {lost} whose result may be ignored"
        read = sum("nodiscard" in each.attributes for each in found if each.parameters() is not None or each.scope())
        if read != texts[name].count("[[nodiscard"):
            yield f"include/pinref/{name}: {texts[name].count('[[nodiscard')} nodiscard, of which {read} could be read"


if __name__ == "__main__":
    tree.main(__doc__, check)
