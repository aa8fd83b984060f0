# SPDX-License-Identifier: MIT
"""The page of plots that tools/bench writes: plain HTML with SVG in it, nothing fetched from anywhere."""

import html
import math

COLOURS = ["#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"]
STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
h2 { margin: 2em 0 0; font-size: 1.15em; } p { margin: .3em 0 .6em; } svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: #222; }"""
WIDTH = 760


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(str(words))}</text>'


def line(x1, y1, x2, y2, colour="#ddd", width=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'


def box(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"/>'


def svg(height, parts):
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg" '
            'font-family="sans-serif" font-size="12">'
            + "".join(parts) + "</svg>")


def short(value):
    return f"{value:.3g}"


def legend(names, y):
    parts = []
    x = 130.0
    for i, name in enumerate(names):
        parts += [box(x, y, 11, 11, COLOURS[i % len(COLOURS)]), text(x + 16, y + 10, name)]
        x += 34 + 7 * len(name)
        if x > WIDTH - 120:
            x, y = 130.0, y + 18
    return parts, y + 24


def bars(rows, series, unit=""):
    """Bars to the right, quartiles as a thin line. rows: [(label, [(value, low, high) or None for each of series])]."""
    parts, y = legend(series, 6) if len(series) > 1 else ([], 6)
    values = sorted(cell[0] for _, cells in rows for cell in cells if cell)
    if not values:
        return "<p>absent</p>"
    left, room, thick = 150, WIDTH - 240, 13
    # One far outlier must not flatten the others: its bar is cut, its number tells.
    scale = room / min(values[-1], 3 * values[len(values) // 2])
    for label, cells in rows:
        parts.append(text(left - 5, y + thick * len(cells) / 2 + 4, label, "end"))
        for i, found in enumerate(cells):
            if found:
                value, low, high = (min(number * scale, room) for number in found)
                parts.append(box(left, y, value, thick - 2, COLOURS[i % len(COLOURS)]))
                parts.append(line(left + low, y + thick / 2 - 1, left + high, y + thick / 2 - 1, "#222"))
                cut = " (cut)" if found[0] * scale > room + 1 else ""
                parts.append(text(left + 6 + max(value, high), y + thick - 3, short(found[0]) + unit + cut))
            else:
                parts.append(text(left + 4, y + thick - 3, "absent"))
            y += thick
        y += 6
    return svg(y + 4, parts)


def lines(xs, series, x_title, y_title, log=False):
    """series: {name: [value or None for each of xs]}; xs are labels at equal distances."""
    series = {name: values for name, values in series.items() if any(value is not None for value in values)}
    if not series:
        return "<p>absent</p>"
    parts, top = legend(series, 6)
    top += 14
    left, right, height = 70, WIDTH - 30, 260
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
    for i, label in enumerate(xs):
        parts.append(text(x_of(i), top + height + 18, label, "middle"))
    parts += [text((left + right) / 2, top + height + 36, x_title, "middle"), text(4, top - 10, y_title)]
    for k, (_, values) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        points = [(x_of(i), y_of(value)) for i, value in enumerate(values) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
    return svg(top + height + 44, parts)


def section(title, words, plot):
    return f"<h2>{html.escape(title)}</h2><p>{html.escape(words)}</p>{plot}"


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
        return bars(rows, ["1 thread" if threads == 1 else f"{threads} threads" for threads in counts])

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
        section("Get and put", words + ": one page that all threads share. The black line spans the quartiles.",
                by_scheme("get_put")),
        section("Pin and unpin", words + ".", by_scheme("pin_unpin")),
        section("Range of 4 KiB pages", "Pin and unpin of a range, a page, by length. " + words + ".",
                lines(lengths, over([f"range_4k_{n}" for n in lengths],
                                    ["by_hand", "linux_small", "split", "bias32", "bias64", "bias64_slow"], 1),
                      "pages", "bare pairs a page")),
        section("Range of one 2 MiB page", "The same within one compound page.",
                lines(lengths, over([f"range_2m_{n}" for n in lengths],
                                    ["split", "bias32", "bias64", "bias64_by_run", "bias64_folio"], 1),
                      "pages", "bare pairs a page", log=True)),
        section("Dirty release", "Pin, and release as written to, 512 pages of 4 KiB of which none, half or all are dirty "
                                 "already; time a page, with the cleaning in between.",
                bars([(f"{words} dirty", [found(f"dirty_{which}", scheme, 1) for scheme in ("by_hand", "bias32", "bias64")])
                      for which, words in (("clean", "none"), ("mixed", "half"), ("dirty", "all"))],
                     ["by_hand", "bias32", "bias64"])),
        section("Random pages", "Get and put of random pages, by how many there are.",
                lines(["4096", "65 536", "1 048 576"], random, "pages", "over bare")),
        section("Look-ups in an index", "A speculative look-up while another thread replaces pages without a pause, among "
                                        "4096 and a million pages, keys uniform or by Zipf's law. The unit is the bare pair on the "
                                        "same keys, with nothing replaced.",
                bars([(f"{pages} {keys}", [found(f"index_{count}_{keys}", scheme, 2) for scheme in index_schemes])
                      for count, pages in (("4k", "4096"), ("1m", "1M")) for keys in ("uniform", "zipf")], index_schemes)),
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
                lines([f"{share} %" for share in shares], dead, "dead", "over bare")),
        section("Hot page", "Nanoseconds for a get and put of one page that all threads share, those of all threads "
                            "counted together.",
                lines(counts, hot, "threads", "ns")),
        section("Size", "Bytes of the reference word of a page.",
                bars([(name, [(float(results.facts[f"bytes_per_page_{name}"]),) * 3]) for name in ("bias32", "bias64")],
                     ["bytes"])),
    ]
    if compiled:
        body.append(section("Compile time", f"Seconds to compile a file that includes nothing else, with {compiler} -O2.",
                            bars([(name, [(compiled[name],) * 3]) for name in ("atomic", "pinref")], ["seconds"], " s")))
    if len(counts) > 1:
        for workload in sorted({workload for workload, _, _ in results.runs}):
            plot = by_threads(workload)
            if plot:
                body.append(section(f"By threads: {workload}", "Nanoseconds an operation, those of all threads counted "
                                    "together; where one thread is counted beside others, its own.", plot))
    facts = results.facts
    machine = (f"{facts.get('num_cpus')} CPUs at {facts.get('mhz_per_cpu')} MHz, {facts.get('date', '')[:10]}, {compiler}. "
               "Shorter is better everywhere.")
    return ('<!doctype html><html lang="en"><meta charset="utf-8"><title>pinref benchmarks</title>'
            f"<style>{STYLE}</style><h1>pinref benchmarks</h1><p>{html.escape(machine)}</p>{''.join(body)}</html>\n")
