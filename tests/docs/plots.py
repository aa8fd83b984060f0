# SPDX-License-Identifier: MIT
"""docs/benchmarks.svg is what README.md says, and can be read: colours, names, numbers, and the line at 1.0.

Text and bars have a contrast of 4.5 at least to the background, in light and in dark; pinref's bars stand out; names and
numbers are those of the table. The plots of build/bench/report.html have the same colours and nothing else. At the end
each mistake is put into the picture and must be found.
"""

import argparse
import html
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))

import bench_readme  # noqa: E402
import bench_report  # noqa: E402

CONTRAST = 4.5
# What is read: by class or element, the property that has its colour.
READ = [("text", "fill"), (".one", "stroke"), (".says-one", "fill"), (".spread", "stroke")] + [
    (f".{kind}{i}", "fill") for kind in ("ours", "other") for i in range(bench_report.SHADES)] + [
    (f".line.{kind}{i}", "stroke") for kind in ("ours", "other") for i in range(bench_report.SHADES)]
ELEMENT = re.compile(r"<(text|rect|line|polyline|circle)\b([^>]*)>(?:([^<]*)</text>)?")


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio"""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def check_colours(style):
    """Of the style of a picture, in light and in dark."""
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    dark, rest = dark.split("} }", 1)
    for scheme, text in (("light", light), ("dark", dark)):
        colours = dict(re.findall(r"--([a-z]+\d*): (#[0-9a-f]{6})", text))
        for selector, what in READ:
            used = re.findall(rf"(?<![\w.-]){re.escape(selector)} {{[^}}]*?\b{what}: var\(--(\w+)\)", rest)
            if len(used) != 1 or used[0] not in colours or "background" not in colours:
                yield f"{scheme}: {selector} has no colour: {used}"
            elif (found := contrast(colours[used[0]], colours["background"])) < CONTRAST:
                yield f"{scheme}: {selector} has a contrast of {found:.2f}"


def check_elements(picture):
    """Nothing has a colour besides, and pinref's has its own."""
    for name, attributes, _ in ELEMENT.findall(picture):
        if re.search(r"\b(?:fill|stroke|style)=", attributes):
            yield f"a {name} with a colour of its own: {attributes.strip()}"
    first = re.search(r"<rect[^>]*>", picture)
    if not first or 'class="background"' not in first.group():
        yield "no background"


def table_of(readme):
    """{(name, workload, threads): number} of README.md."""
    lines = re.search(r"<!-- numbers -->.*?<!-- /numbers -->", readme, re.S).group().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
    known = {words: bench_report.plain(scheme) for scheme, words in bench_report.NAMES.items()}
    numbers = {}
    for words, *cells in rows:
        for (_, workload, threads), cell in zip(bench_readme.COLUMNS, cells):
            if words in known and cell != "-":
                numbers[known[words], workload, threads] = float(cell)
    return numbers


def attribute(text, name):
    return float(re.search(rf'\b{name}="([^"]*)"', text).group(1))


def check_panels(picture, readme):
    """Names, numbers, the line at 1.0 and who stands out."""
    wanted = {key: number for key, number in table_of(readme).items()
              if key[1] in dict(map(reversed, bench_readme.PANELS)) and key[2] in bench_readme.THREADS}
    found = {}
    panels = re.split(r'(?=<text [^>]*text-anchor="start" class="strong">)', picture)[1:]
    if len(panels) != len(bench_readme.PANELS):
        yield f"{len(panels)} panels"
    for panel, (title, workload) in zip(panels, bench_readme.PANELS):
        elements = ELEMENT.findall(panel)
        if elements[0][2] != title:
            yield f"a panel {elements[0][2]}, not {title}"
        names = [(html.unescape(words), 'class="strong"' in more) for name, more, words in elements
                 if name == "text" and 'text-anchor="end"' in more]
        values = [words for name, more, words in elements
                  if name == "text" and 'text-anchor="start"' in more and "strong" not in more]
        drawn = [(re.search(r'class="([a-z]+)\d"', more).group(1), attribute(more, "x"), attribute(more, "width"))
                 for name, more, _ in elements if name == "rect"]
        ones = [attribute(more, "x1") for name, more, _ in elements if name == "line" and 'class="one"' in more]
        says = [words for name, more, words in elements if name == "text" and "says-one" in more]
        if len(ones) != 1 or says != ["1.0"]:
            yield f"{title}: {len(ones)} lines at 1.0, that say {says}"
        threads = [(name, n) for name in names for n in bench_readme.THREADS]
        if len(values) != len(threads) or len(drawn) != len(threads):
            yield f"{title}: {len(names)} names, {len(values)} numbers, {len(drawn)} bars"
            continue
        for ((name, strong), n), words, (kind, left, width) in zip(threads, values, drawn):
            ours = name.startswith("pinref")
            if strong != ours or kind != ("ours" if ours else "other"):
                yield f"{title}: {name} is shown as {kind}"
            number, *cut = words.split(" ")
            found[name, workload, n] = float(number)
            for one in ones:
                if not cut and abs(width - float(number) * (one - left)) > 0.01 * (one - left):
                    yield f"{title}: the bar of {name} is not {number} of the way to 1.0"
    for key in sorted(set(wanted) | set(found), key=str):
        if key not in found or key not in wanted or abs(found[key] - wanted[key]) > 0.0051:
            yield f"{key}: {found.get(key)} in the picture, {wanted.get(key)} in the table"


def check(picture, readme):
    style = re.search(r"<style>(.*?)</style>", picture, re.S)
    if not style:
        return ["no style"]
    return [*check_colours(style.group(1)), *check_elements(picture), *check_panels(picture, readme)]


def mistakes(picture):
    """What, the picture with it, and what must be said of it."""
    light = bench_report.SCHEMES["light"]
    yield "a weak bar in light", picture.replace(f"--ours0: {light['ours'][0]}", "--ours0: #6fa0e8"), "light: .ours0"
    yield "a weak bar in dark", picture.replace(
        f"--other1: {bench_report.SCHEMES['dark']['other'][1]}", "--other1: #555c66"), "dark: .other1"
    yield "weak text", picture.replace(f"--ink: {light['ink']}", "--ink: #8a8f96"), "light: text"
    yield "another background", picture.replace(f"--background: {light['background']}", "--background: #8a8f96"), "light: "
    yield "a colour of its own", picture.replace('class="other0"', 'class="other0" fill="#efb118"', 1), "of its own"
    yield "no line", re.sub(r'<line [^>]*class="one"/>', "", picture, count=1), "0 lines at 1.0"
    yield "a line that says something else", picture.replace(">1.0<", ">0.9<"), "that say ['0.9']"
    yield "a line elsewhere", re.sub(r'(<line x1=")([\d.]+)("[^>]*class="one"/>)',
                                     lambda found: f"{found[1]}{float(found[2]) + 9}{found[3]}", picture), "of the way to 1.0"
    yield "pinref like the others", picture.replace('class="ours0"', 'class="other0"'), "is shown as other"
    yield "another name", picture.replace("pinref, bias64", "bias64"), "bias64"
    yield "another number", re.sub(r'"start">(\d)\.(\d+)</text>', r'"start">\1.9\2</text>', picture, count=1), "in the table"
    yield "a row less", re.sub(r'<text [^>]*text-anchor="end"[^>]*>[^<]*</text>', "", picture, count=1), "names"


def sample():
    """One plot of each kind that the report has."""
    cells = [(1.0, 0.9, 1.1), None]
    return (bench_report.bars([("", [("bias64", cells), ("bare", cells)])], ["1 thread", "2 threads"], one=True)
            + bench_report.bars([("", [("1M zipf", cells)])], ["bias64", "bare"])
            + bench_report.lines([1, 16], {name: [1.0, 2.0] for name in ("bare", "bias64", "bias32", "hot", "split",
                                                                         "bias64_slow")}, "pages", "over bare", one=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    root = parser.parse_args().root
    picture, readme = (root / "docs/benchmarks.svg").read_text(), (root / "README.md").read_text()

    wrong = [f"docs/benchmarks.svg: {what}" for what in check(picture, readme)]
    wrong += [f"the report: {what}" for what in (*check_colours(bench_report.style()), *(
        each for plot in re.findall(r"<svg.*?</svg>", sample(), re.S) for each in check_elements(plot)))]
    passed = not wrong
    for what, mistaken, said in mistakes(picture):
        found = check(mistaken, readme)
        if mistaken != picture and any(said in each for each in found):
            passed += 1
        else:
            wrong.append(f"not found: {what}: {found}")
    print("\n".join(wrong))
    print(f"{passed:d} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
