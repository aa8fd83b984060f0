# SPDX-License-Identifier: MIT
"""The page of plots that tools/bench writes: plain HTML with SVG in it, nothing fetched from anywhere."""

import html
import math
import re

# Schemes by the names that tables and plots have for them; as Markdown.
NAMES = {
    "bare": "one locked add, one locked subtract, nothing checked",
    "bias64": "**pinref**, `bias64`",
    "bias32": "pinref, `bias32`",
    "linux_small": "compare-and-swap loop, as Linux's small pages",
    "linux_large": "reference and pin count apart, as Linux's large folios",
    "hot": "pinref, hot-page mode",
    "xenium_ref_count": "xenium `lock_free_ref_count`",
    "liburcu": "liburcu `urcu_ref_get_unless_zero`",
    "std_weak_lock": "`std::weak_ptr::lock`",
    "std_shared_mutex": "`std::shared_mutex`, shared",
    "std_atomic_shared": "`std::atomic<std::shared_ptr>` load",
}
OURS = re.compile(r"(?:bias(?:32|64)|split|hot|page_stamp|ledger|registration_cache|pinref)(?:_|\b)|c(?:_call)?\b")
# What stands on the background of these has a contrast of 4.5 at least: a test computes it. Series differ in lightness,
# pinref and others in hue.
SCHEMES = {
    "light": {"background": "#ffffff", "ink": "#1b1f24", "one": "#b3261e", "grid": "#d5d9de",
              "ours": ["#1f66d6", "#0d3f97", "#0a6c8c", "#07234f"], "other": ["#70757c", "#4b5057", "#7d6a4c", "#2b2f34"]},
    "dark": {"background": "#12161c", "ink": "#e6e9ed", "one": "#ff9a90", "grid": "#39404a",
             "ours": ["#5d9dff", "#a9ccff", "#74d0ee", "#dbe8ff"], "other": ["#8b929b", "#b9bfc7", "#b9a888", "#dfe3e8"]},
}
SHADES = 4
DASHES = ["", "7 3", "2 3", "9 3 2 3"]
WIDTH = 860


def style():
    """The colours, by what the system asks for."""
    def colours(scheme):
        rules = [f"--{name}: {scheme[name]}" for name in ("background", "ink", "one", "grid")]
        rules += [f"--{kind}{i}: {colour}" for kind in ("ours", "other") for i, colour in enumerate(scheme[kind])]
        return "; ".join(rules)

    rules = [f":root, svg {{ {colours(SCHEMES['light'])}; color-scheme: light dark; }}",
             f"@media (prefers-color-scheme: dark) {{ :root, svg {{ {colours(SCHEMES['dark'])}; }} }}",
             ".background { fill: var(--background); } text { fill: var(--ink); } .strong { font-weight: bold; }",
             ".grid { stroke: var(--grid); } .spread { stroke: var(--ink); stroke-width: 1; }",
             ".one { stroke: var(--one); stroke-width: 1.5; stroke-dasharray: 5 3; } .says-one { fill: var(--one); }",
             ".halo { stroke: var(--background); stroke-width: 3; } .line { fill: none; stroke-width: 1.5; }",
             ".line.ours { stroke-width: 3.5; }"]
    for kind in ("ours", "other"):
        for i in range(SHADES):
            rules.append(f".{kind}{i} {{ fill: var(--{kind}{i}); stroke: none; }} .line.{kind}{i} {{ fill: none; "
                         f"stroke: var(--{kind}{i}); }}")
    return "\n".join(rules)


PAGE_STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em;
background: var(--background); color: var(--ink); } a { color: var(--ours0); }
h2 { margin: 2em 0 0; font-size: 1.15em; } p { margin: .3em 0 .6em; } .plot { overflow-x: auto; }
svg { width: 100%; min-width: 36em; height: auto; }"""


def plain(scheme):
    return NAMES.get(scheme, scheme).translate(str.maketrans("", "", "*`"))


def is_ours(scheme):
    return OURS.match(scheme.split(",")[0]) is not None


def width_of(words):
    """About what a line of text takes."""
    return 6.7 * len(str(words))


def text(x, y, words, anchor="start", kind=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{html.escape(str(words))}</text>'


def line(x1, y1, x2, y2, kind="grid"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def box(x, y, width, height, kind):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" class="{kind}"/>'


def svg(height, parts):
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg" '
            'font-family="system-ui, sans-serif" font-size="12">' + box(0, 0, WIDTH, height, "background")
            + "".join(parts) + "</svg>")


def alone(picture):
    """A picture that is a file of its own."""
    return picture.replace(">", f"><style>{style()}</style>", 1)


def short(value):
    return f"{value:.3g}"


def shades(names):
    """A class for each series: pinref's and others count apart."""
    seen = {"ours": 0, "other": 0}
    for name in names:
        kind = "ours" if is_ours(name) else "other"
        yield f"{kind}{seen[kind] % SHADES}"
        seen[kind] += 1


def legend(entries, left, y):
    """entries: [(parts that draw a sample of 24 pixels, words)]."""
    parts, x = [], left
    for sample, words in entries:
        if x > left and x + 34 + width_of(words) > WIDTH:
            x, y = left, y + 18
        parts += [sample(x, y), text(x + 30, y + 10, words)]
        x += 50 + width_of(words)
    return parts, y + 24


def bars(groups, series, unit="", one=False):
    """Bars to the right, quartiles as a thin line. groups: [(title, [(label, [(value, low, high) or None for each of
    series])])]. Labels or series are schemes; with `one` there is a line at 1.0."""
    rows = [row for _, group in groups for row in group]
    values = sorted(cell[0] for _, cells in rows for cell in cells if cell)
    if not values:
        return "<p>absent</p>"
    by_series = any(is_ours(name) for name in series)
    left = 14 + max(width_of(plain(label)) for label, _ in rows)
    room, thick = WIDTH - left - 70, 13
    kinds = list(shades(series)) if by_series else None

    def kind_of(label, i):
        return kinds[i] if by_series else f"{'ours' if is_ours(label) else 'other'}{i % SHADES}"

    parts, y = [], 6
    if len(series) > 1:
        def sample(i):
            if by_series:
                return lambda x, y: box(x, y, 24, 11, kinds[i])
            return lambda x, y: box(x, y, 11, 11, f"ours{i % SHADES}") + box(x + 13, y, 11, 11, f"other{i % SHADES}")
        parts, y = legend([(sample(i), plain(name)) for i, name in enumerate(series)], left, 6)
    # One far outlier must not flatten the others: its bar is cut, its number tells.
    scale = room / min(max(values[-1], 1.1 if one else 0), 3 * values[len(values) // 2])
    at_one = left + scale
    for title, group in groups:
        if title:
            parts.append(text(left, y + 12, title, kind="strong"))
            y += 20
        if one:
            parts.append(text(at_one, y + 10, "1.0", "middle", "says-one strong"))
            y += 16
        top, over = y, []
        for label, cells in group:
            strong = "strong" if is_ours(label) else ""
            parts.append(text(left - 8, y + thick * len(cells) / 2 + 4, plain(label), "end", strong))
            for i, found in enumerate(cells):
                if found:
                    value, low, high = (min(number * scale, room) for number in found)
                    middle = y + thick / 2 - 1
                    parts.append(box(left, y, value, thick - 2, kind_of(label, i)))
                    over += [line(left + low, middle, left + high, middle, "halo"),
                             line(left + low, middle, left + high, middle, "spread")]
                    words = short(found[0]) + unit + (" (cut)" if found[0] * scale > room + 1 else "")
                    x = left + 6 + max(value, high)
                    if one and x - 4 < at_one < x + width_of(words):
                        x = at_one + 6
                    over.append(text(x, y + thick - 3, words))
                else:
                    parts.append(text(left + 4, y + thick - 3, "absent"))
                y += thick
            y += 6
        if one:
            parts += [line(at_one, top - 2, at_one, y - 4, "halo"), line(at_one, top - 2, at_one, y - 4, "one")]
        parts += over
        y += 8
    return svg(y, parts)


def lines(xs, series, x_title, y_title, log=False, one=False):
    """series: {name: [value or None for each of xs]}; xs are labels at equal distances."""
    series = {name: values for name, values in series.items() if any(value is not None for value in values)}
    if not series:
        return "<p>absent</p>"
    left, right, height = 70, WIDTH - 30, 260
    kinds = list(shades(series))
    # Of the same shade the second is dashed.
    dashes = [DASHES[kinds[:i].count(kind) % len(DASHES)] for i, kind in enumerate(kinds)]

    def stroke(k):
        return f'class="line {kinds[k][:-1]} {kinds[k]}" stroke-dasharray="{dashes[k] or "none"}"'

    def sample(k):
        return lambda x, y: f'<polyline points="{x:.1f},{y + 6:.1f} {x + 24:.1f},{y + 6:.1f}" {stroke(k)}/>'

    def name_of(name):
        scheme, *more = name.split(", ")
        return ", ".join([plain(scheme), *more])

    parts, top = legend([(sample(k), name_of(name)) for k, name in enumerate(series)], 10, 6)
    top += 24
    values = [value for line_ in series.values() for value in line_ if value is not None]
    if log:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        high = max(high, low + 1)
        ticks = [10.0 ** power for power in range(low, high + 1)]
    else:
        step = 10.0 ** math.floor(math.log10(max(values)))
        step = next(s for s in (step / 5, step / 2, step, 2 * step) if max(values) / s <= 8)
        low, high = 0.0, math.ceil(max(values) / step) * step
        ticks = [i * step for i in range(round(high / step) + 1)]

    def y_of(value):
        return top + height - height * ((math.log10(value) if log else value) - low) / (high - low)

    def x_of(i):
        return left + 40 + (right - left - 80) * (i / (len(xs) - 1) if len(xs) > 1 else 0.5)

    for tick in ticks:
        parts += [line(left, y_of(tick), right, y_of(tick)), text(left - 6, y_of(tick) + 4, short(tick), "end")]
    if one and low <= (0 if log else 1) <= high:
        parts += [line(left, y_of(1), right, y_of(1), "one"), text(right + 4, y_of(1) + 4, "1.0", kind="says-one strong")]
    for i, label in enumerate(xs):
        parts.append(text(x_of(i), top + height + 18, label, "middle"))
    parts += [text((left + right) / 2, top + height + 36, x_title, "middle"), text(4, top - 10, y_title)]
    # pinref's last, so above the others.
    for k, (_, values) in sorted(enumerate(series.items()), key=lambda each: kinds[each[0]].startswith("ours")):
        points = [(x_of(i), y_of(value)) for i, value in enumerate(values) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" {stroke(k)}/>')
        radius = 4 if kinds[k].startswith("ours") else 3
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" class="{kinds[k]}"/>' for x, y in points]
    return svg(top + height + 44, parts)


def section(title, words, plot):
    return f'<h2>{html.escape(title)}</h2><p>{html.escape(words)}</p><div class="plot">{plot}</div>'


def page(results, compiled, compiler):
    def found(workload, scheme, threads):
        value = results.median(workload, scheme, threads)
        return None if value is None else (value, *results.spread(workload, scheme, threads))

    counts = results.threads()

    def by_scheme(workload):
        rows = [(scheme, [found(workload, scheme, threads) for threads in counts]) for scheme in results.schemes()]
        rows = [row for row in rows if any(row[1])]
        if workload == "get_put":
            rows += [(scheme, [None for _ in counts]) for scheme in results.absent()]
        return bars([("", rows)], ["1 thread" if threads == 1 else f"{threads} threads" for threads in counts], one=True)

    def by_threads(workload):
        """Nanoseconds of every scheme that was measured with more than one number of threads."""
        series = {scheme: [results.median(workload, scheme, threads, "ns") for threads in counts]
                  for scheme in results.schemes()}
        series = {scheme: values for scheme, values in series.items() if sum(value is not None for value in values) > 1}
        return lines(counts, series, "threads", "ns", log=True) if series else ""

    def over(workloads, schemes, threads, counter="ratio"):
        return {scheme: [results.median(workload, scheme, threads, counter) for workload in workloads]
                for scheme in schemes}

    lengths = [1, 16, 512, 32768]
    schemes = ["bare", "linux_small", "linux_large", "split", "bias32", "bias64"]
    dirty_schemes = ["by_hand", "bias32", "bias64"]
    index_schemes = ["linux_small", "split", "bias32", "bias64", "std_atomic_shared"]
    shares = [0, 20, 50, 90]
    random = {f"{scheme}, {threads}T": [results.median(f"random{count}", scheme, threads) for count in ("4k", "64k", "1m")]
              for scheme in ("bare", "linux_small", "bias32", "bias64") for threads in (1, 2)}
    dead = {f"{scheme}, {threads}T": [results.median(f"dead_share_{share}", scheme, threads) for share in shares]
            for scheme in ("linux_small", "bias64", "bias64_scan") for threads in (1, 2)}
    hot = {scheme: [results.median("get_put", scheme, threads, "ns") for threads in counts]
           for scheme in [*schemes, "hot", "std_weak_lock", "std_shared_mutex", "liburcu"]}
    words = "Time over that of the bare pair, one unchecked locked add and one subtract, in the neighbouring slice"
    body = [
        section("Get and put", words + ": one page that all threads share. The thin line spans the quartiles, the dashed one is "
                "that pair.",
                by_scheme("get_put")),
        section("Pin and unpin", words + ".", by_scheme("pin_unpin")),
        section("Range of 4 KiB pages", "Pin and unpin of a range, a page, by length. " + words + ".",
                lines(lengths, over([f"range_4k_{n}" for n in lengths],
                                    ["by_hand", "linux_small", "split", "bias32", "bias64", "bias64_slow"], 1),
                      "pages", "bare pairs a page", one=True)),
        section("Range of one 2 MiB page", "The same within one compound page.",
                lines(lengths, over([f"range_2m_{n}" for n in lengths],
                                    ["split", "bias32", "bias64", "bias64_by_run", "bias64_folio"], 1),
                      "pages", "bare pairs a page", log=True, one=True)),
        section("Dirty release", "Pin, and release as written to, 512 pages of 4 KiB of which none, half or all are dirty "
                                 "already; time a page, with the cleaning in between.",
                bars([("", [(f"{words} dirty", [found(f"dirty_{which}", scheme, 1) for scheme in dirty_schemes])
                            for which, words in (("clean", "none"), ("mixed", "half"), ("dirty", "all"))])],
                     dirty_schemes, one=True)),
        section("Random pages", "Get and put of random pages, by how many there are.",
                lines(["4096", "65 536", "1 048 576"], random, "pages", "over bare", one=True)),
        section("Look-ups in an index", "A speculative look-up while another thread replaces pages without a pause, among "
                                        "4096 and a million pages, keys uniform or by Zipf's law. The unit is the bare pair on the "
                                        "same keys, with nothing replaced.",
                bars([("", [(f"{pages} {keys}", [found(f"index_{count}_{keys}", scheme, 2) for scheme in index_schemes])
                            for count, pages in (("4k", "4096"), ("1m", "1M")) for keys in ("uniform", "zipf")])],
                     index_schemes, one=True)),
        section("Buffer pool, 65 536 pages", "Find a page in a hash table, hold it, read a word of it, let it go; keys by "
                                             "Zipf's law. The unit is the bare pair in the same pool.", by_scheme("pool_64k")),
        section("Buffer pool, one page", "The same of one page that all threads read.", by_scheme("pool_hot")),
        section("Buffer pool, evicting", "Nine in ten are found, the others brought in, without a disk. The unit is the bare "
                                         "pair with all pages there.", by_scheme("pool_evict")),
        section("Is it pinned?", "A question to decide on, of one of 4096 pages; the second bar while another thread pins and "
                                 "unpins them. bias64_scan is the hint, from which nothing may be concluded.",
                by_scheme("query")),
        section("Dead pages", "Get and put of 65 536 random pages, by the share of them that refuses. The unit is the bare "
                              "pair on as many live pages.",
                lines([f"{share} %" for share in shares], dead, "dead", "over bare", one=True)),
        section("Hot page", "Nanoseconds for a get and put of one page that all threads share, those of all threads "
                            "counted together.",
                lines(counts, hot, "threads", "ns")),
        section("Size", "Bytes of the reference word of a page.",
                bars([("", [(name, [(float(results.facts[f"bytes_per_page_{name}"]),) * 3])
                            for name in ("bias32", "bias64")])], ["bytes"])),
    ]
    if compiled:
        body.append(section("Compile time", f"Seconds to compile a file that includes nothing else, with {compiler} -O2.",
                            bars([("", [(name, [(compiled[name],) * 3]) for name in ("atomic", "pinref")])], ["seconds"],
                                 " s")))
    if len(counts) > 1:
        for workload in sorted({workload for workload, _, _ in results.runs}):
            plot = by_threads(workload)
            if plot:
                body.append(section(f"By threads: {workload}", "Nanoseconds an operation, those of all threads counted "
                                    "together; where one thread is counted beside others, its own.", plot))
    facts = results.facts
    machine = (f"{facts.get('num_cpus')} CPUs at {facts.get('mhz_per_cpu')} MHz, {facts.get('date', '')[:10]}, {compiler}. "
               "Shorter is better everywhere; blue is pinref.")
    return ('<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>pinref benchmarks</title>'
            f"<style>{style()}\n{PAGE_STYLE}</style><h1>pinref benchmarks</h1><p>{html.escape(machine)}</p>{''.join(body)}</html>\n")
