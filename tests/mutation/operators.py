# SPDX-License-Identifier: MIT
"""Finds the mutants of a header and writes a copy of it in which each can be switched on at run time.

A mutant that can be decided at run time costs one run of the tests and no compilation: the copy asks `mutate::on(n)` at
each of its places, and the environment variable PINREF_MUTANT names the n. Constants that the compiler evaluates have to
be compiled anew; those mutants carry the changed text instead.
"""

import re
from dataclasses import dataclass

# Force-included in front of every header.
SUPPORT = """\
#pragma once
#include <atomic>
#include <cstdlib>
#include <type_traits>
namespace mutate {
// None, or all of them are only noted when they are reached.
inline constexpr int none = -1, noting = -2;
inline const int chosen = [] {
  const char* text = std::getenv("PINREF_MUTANT");
  return text == nullptr ? none : std::atoi(text);
}();
inline std::atomic<bool> reached[8192];
inline bool is_on(int n) {
  if (chosen == noting) reached[n].store(true, std::memory_order_relaxed);
  return chosen == n;
}
constexpr bool on(int n) { return std::is_constant_evaluated() ? false : is_on(n); }
constexpr bool flip(int n, bool value) { return on(n) ? !value : value; }
constexpr std::memory_order order(int n, std::memory_order from, std::memory_order to) { return on(n) ? to : from; }
template <class T, class... Labels>
constexpr T without(int first, T value, Labels... labels) {
  const T old = value;
  ((old == labels && on(first) ? void(value = static_cast<T>(99)) : void(), ++first), ...);
  return value;
}
}
"""

WEAKER = {
    "acq_rel": ["acquire", "release"],
    "acquire": ["relaxed"],
    "release": ["relaxed"],
}


@dataclass
class Mutant:
    path: str  # below include/pinref
    line: int
    key: str  # the same as long as the statement is
    number: int = -1  # for PINREF_MUTANT, or
    replacement: tuple = None  # (start, end, text) in the header


class Instrumented:
    """One header: its mutants, and its text with the switches of those that run time can decide."""

    def __init__(self, path, text, first_number, constants):
        self.path = path
        self.text = text
        self.code = blank_comments(text)
        self.mutants = []
        self._inserts = []
        self._next = first_number
        self._seen = {}
        self._orders()
        self._conditions()
        self._ternaries()
        self._switches()
        if constants:
            self._constants()

    def instrumented(self):
        out, at = [], 0
        # At one place, what opens later encloses less, and what closes comes before what opens.
        for position, _, what in sorted(self._inserts, key=lambda each: each[:2]):
            out += [self.text[at:position], what]
            at = position
        return "".join(out) + self.text[at:]

    def _add(self, start, key, replacement=None):
        count = self._seen[key] = self._seen.get(key, 0) + 1
        if count > 1:
            key = f"{key} #{count}"
        line = self.text.count("\n", 0, start) + 1
        number = -1
        if replacement is None:
            number = self._next
            self._next += 1
        self.mutants.append(Mutant(self.path, line, key, number, replacement))
        return number

    def _wrap(self, start, end, before, after):
        count = len(self._inserts)
        self._inserts.append((start, (1, -end, count), before))
        self._inserts.append((end, (0, -start, -count), after))

    def _words(self, start, end):
        return " ".join(self.code[start:end].split())

    def _orders(self):
        for match in re.finditer(r"std::memory_order_(acq_rel|acquire|release)\b", self.code):
            start, end = match.span()
            statement = self._words(self.code.rfind("\n", 0, start) + 1, start)
            call = re.findall(r"(\w+)\s*\([^()]*$", self._around(start))
            for weaker in WEAKER[match[1]]:
                name = call[-1] if call else statement
                key = f"{name}: {match[1]} to {weaker}"
                if "constexpr" in statement:
                    self._add(start, key, (start, end, f"std::memory_order_{weaker}"))
                    continue
                number = self._add(start, key)
                self._wrap(start, end, f"::mutate::order({number}, ", f", std::memory_order_{weaker})")

    def _around(self, position):
        """The code in front of a place, with what is inside finished brackets left out."""
        text = self.code[max(0, position - 400):position]
        while True:
            shorter = re.sub(r"\([^()]*\)", "", text)
            if shorter == text:
                return text
            text = shorter

    def _condition(self, start, end, droppable):
        start, end = self._trim(start, end)
        words = self._words(start, end)
        flip = self._add(start, f"flip `{words}`")
        self._wrap(start, end, f"::mutate::flip({flip}, static_cast<bool>(", "))")
        if droppable:
            drop = self._add(start, f"drop `{words}`")
            self._wrap(start, end, f"(!::mutate::on({drop}) && (", "))")
        self._operands(start, end, words)

    def _operands(self, start, end, words):
        for operator, way in (("||", "!::mutate::on({}) && "), ("&&", "::mutate::on({}) || ")):
            parts = self._split(start, end, operator)
            if len(parts) == 1:
                continue
            for part in parts:
                part = self._trim(*part)
                number = self._add(part[0], f"without `{self._words(*part)}` in `{words}`")
                self._wrap(*part, f"({way.format(number)}", ")")
                self._operands(*part, self._words(*part))
            return

    def _conditions(self):
        for match in re.finditer(r"\b(if|while|for)\s*\(", self.code):
            start = match.end()
            end = self._closing(start)
            parts = self._split(start, end, ";")
            if match[1] == "for":
                if len(parts) != 3 or not self.code[slice(*parts[1])].strip():
                    continue
                self._condition(*parts[1], False)
            elif not re.search(r"\w = ", self.code[slice(*parts[-1])]):  # one that declares a name stays
                self._condition(*parts[-1], True)
        for match in re.finditer(r"(?<!constexpr )\bbool \w+ = (?!true|false)([^;{]*);", self.code):
            self._condition(*match.span(1), False)
        for match in re.finditer(r"\breturn ([^;]*);", self.code):
            # With a ternary the condition ends before it, and is found there.
            if re.search(r"&&|\|\|", match[1]) and "?" not in match[1] and "{" not in match[1]:
                self._condition(*match.span(1), False)

    def _ternaries(self):
        for match in re.finditer(r"\?", self.code):
            start, depth = match.start(), 0
            while True:
                before = self.code[start - 1]
                if before in ")]}":
                    depth += 1
                elif before in "([{":
                    if depth == 0:
                        break
                    depth -= 1
                elif depth == 0:
                    if before in ",;?":
                        break
                    if before == ":" and self.code[start - 2] != ":" and self.code[start] != ":":
                        break
                    if before == "=" and self.code[start - 2] not in "=!<>" and self.code[start] != "=":
                        break
                    if re.search(r"\breturn $", self.code[start - 7:start]):
                        break
                start -= 1
            start, end = self._trim(start, match.start())
            statement = self.code[max(self.code.rfind(each, 0, start) for each in ";{}") + 1:start]
            if re.search(r"\bconstexpr\b[^()]*=\s*$", statement):
                continue  # a constant: decided by the compiler
            words = self._words(start, end)
            number = self._add(start, f"flip `{words} ?`")
            self._wrap(start, end, f"::mutate::flip({number}, static_cast<bool>(", "))")

    def _switches(self):
        for match in re.finditer(r"\bswitch\s*\(", self.code):
            start = match.end()
            end = self._closing(start)
            open_brace = self.code.index("{", end)
            body = self.code[open_brace:self._closing(open_brace + 1)]
            labels = re.findall(r"\bcase ([\w:]+):", body)
            words = self._words(start, end)
            numbers = [self._add(start, f"without case `{label}` of `{words}`") for label in labels]
            self._wrap(start, end, f"::mutate::without({numbers[0]}, ", f", {', '.join(labels)})")

    def _constants(self):
        for match in re.finditer(r"(?<![\w.'])\d+(?![\w.'])", self.code):
            line_start = self.code.rfind("\n", 0, match.start()) + 1
            line = self.code[line_start:self.code.find("\n", match.start())]
            if "static_assert" in line or "#" in line:
                continue
            for value in (int(match[0]) + 1, int(match[0]) - 1):
                if value < 0:
                    continue
                near = self._words(line_start, line_start + len(line))
                key = f"{match[0]} to {value} in `{near}`"
                self._add(match.start(), key, (match.start(), match.end(), str(value)))

    def _closing(self, start):
        """The place of the bracket that closes what is open at `start`."""
        depth = 1
        for at in range(start, len(self.code)):
            depth += (self.code[at] in "([{") - (self.code[at] in ")]}")
            if depth == 0:
                return at
        raise ValueError(f"{self.path}: unbalanced brackets")

    def _split(self, start, end, separator):
        parts, depth, begin, at = [], 0, start, start
        while at < end:
            depth += (self.code[at] in "([{") - (self.code[at] in ")]}")
            if depth == 0 and self.code.startswith(separator, at):
                parts.append((begin, at))
                at += len(separator)
                begin = at
            else:
                at += 1
        return parts + [(begin, end)]

    def _trim(self, start, end):
        while self.code[start].isspace():
            start += 1
        while self.code[end - 1].isspace():
            end -= 1
        return start, end


def blank_comments(text):
    """The text with comments, strings, preprocessor lines and `if constexpr` made invisible, in the same places."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", blank, text, flags=re.S)
    text = re.sub(r"^#[^\n]*", blank, text, flags=re.M)
    # A requires-expression decides nothing at run time, nor do these.
    return re.sub(r"\bif constexpr\b", lambda match: "fi constexpr", text)
