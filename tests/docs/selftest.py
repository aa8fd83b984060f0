# SPDX-License-Identifier: MIT
"""The checks of tools/docs pass a small good site and report each mistake put into it.

Links are checked as files; pages are opened in chromium, and where that is not installed this part is skipped by name.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))

import site_browser  # noqa: E402
import site_links  # noqa: E402
import site_pages  # noqa: E402

SEARCHED = {"word": "other.html"}
HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>a page</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
"""
# Its search is one link, as that of the theme.
FRONT = HEAD + """<link rel="icon" href="dot.svg"><link rel="stylesheet" href="style.css"></head>
<body><h1 id="top-of-it">Front</h1><p><a href="other.html#part">there</a> <a href="#top-of-it">here</a>
<a href="folder/">a folder</a> <a href="https://pinref.invalid/">far</a></p><img src="dot.svg" alt="">
<p class="soft">soft</p><div class="wide"></div>
<script>if (location.search === '?q=word')
  document.body.insertAdjacentHTML('beforeend', '<a class="md-search-result__link" href="other.html">found</a>');</script>
</body></html>
"""
GOOD = {
    "index.html": FRONT,
    "other.html": HEAD + '<link rel="icon" href="dot.svg"></head><body><p id="part">Part</p></body></html>\n',
    "folder/index.html": HEAD + '<link rel="icon" href="../dot.svg"></head><body><a href="../index.html">back</a></body></html>\n',
    "style.css": "body { background: url(dot.svg); } .soft { color: #555; } .wide { height: 9px; width: 100px; }\n"
                 "@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } a { color: #9cf; } "
                 ".soft { color: #aaa; } }\n",
    "dot.svg": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>\n',
}
# File, text, its replacement, and what must be said. None for the text: the file is removed.
LINKS = [
    ("index.html", "other.html#part", "lost.html", "lost.html is not there"),
    ("index.html", "other.html#part", "other.html#lost", "no such place"),
    ("index.html", "#top-of-it", "#lost", "no such place"),
    ("index.html", '<img src="dot.svg"', '<img src="lost.svg"', "lost.svg is not there"),
    ("index.html", "folder/", "../outside.html", "leaves the site"),
    ("index.html", 'href="style.css"', 'href="lost.css"', "lost.css is not there"),
    ("style.css", "url(dot.svg)", "url(lost.svg)", "lost.svg is not there"),
    ("other.html", None, None, "other.html#part is not there"),
    ("folder/index.html", None, None, "folder/ is not there"),
]
OPENED = [
    ("other.html", "</html>", "<script>console.error('it is broken')</script></html>", "it is broken"),
    ("other.html", "</html>", "<script>lost()</script></html>", "lost is not defined"),
    ("other.html", "</html>", "<script src='lost.js'></script></html>", "404"),
    ("other.html", "</html>", "<script src='https://pinref.invalid/a.js'></script></html>", "ERR_NAME_NOT_RESOLVED"),
    ("style.css", "width: 100px", "width: 700px", "390 pixels, dark"),
    ("style.css", "width: 100px", "width: 1700px", "1400 pixels, light): is 17"),
    ("style.css", "color: #555", "color: #999", "1400 pixels, light): a contrast of 2."),
    ("style.css", "color: #aaa", "color: #444", "390 pixels, dark): a contrast of 1."),
    ("index.html", 'href="other.html">found', 'href="index.html">found', "does not find other.html"),
]
MERMAID = "stateDiagram-v2\n  [*] --> dead: constructed\n"
NOTED = "sequenceDiagram\n  participant P as pinner\n  Note over P: keeps it\n  alt a\n    P->>P: b\n  else c\n    P->>P: d\n  end\n"
# The colours of the theme.
COLOURS = ("<style>body { --md-code-bg-color: #eee; } svg { width: 100%; } svg text { fill: currentColor; } "
           "@media (prefers-color-scheme: dark) "
           "{ body { background: #111; color: #eee; --md-code-bg-color: #333; } }</style>")


def make(folder, mistake):
    for name, text in GOOD.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if mistake and name == mistake[0]:
            if mistake[1] is None:
                continue
            assert mistake[1] in text, mistake
            text = text.replace(mistake[1], mistake[2])
        path.write_text(text)
    return folder.resolve()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path)
    parser.parse_args()
    passed = failed = 0

    def judge(good, what):
        nonlocal passed, failed
        passed, failed = (passed + 1, failed) if good else (passed, failed + 1)
        if not good:
            print(what)

    with tempfile.TemporaryDirectory(prefix="pinref-site-") as folder:
        wrong, outside, checked = site_links.check(make(Path(folder), None))
        judge(not wrong and list(outside) == ["https://pinref.invalid/"] and checked > 5, f"the good site: {wrong}, {outside}")
    for mistake in LINKS:
        with tempfile.TemporaryDirectory(prefix="pinref-site-") as folder:
            wrong, _, _ = site_links.check(make(Path(folder), mistake))
            judge(any(mistake[3] in each for each in wrong), f"{mistake}: {wrong}")

    for mistake in [None, *OPENED]:
        with tempfile.TemporaryDirectory(prefix="pinref-site-") as folder:
            opened, wrong, skips = site_browser.check(make(Path(folder), mistake), SEARCHED)
        if skips:
            print("\n".join(f"skipped: {each}" for each in skips))
            break
        if mistake is None:
            judge(not wrong and opened == 3, f"the good site, {opened} pages opened: {wrong}")
        else:
            judge(any(mistake[3] in each for each in wrong), f"{mistake}: {wrong}")

    try:
        drawn = site_pages.diagram(MERMAID)
        judge(drawn is None or "constructed" in drawn and not re.search("#[0-9A-F]{6}", drawn), drawn)
        noted = site_pages.diagram(NOTED)
        for picture, said in ((noted, None), ((noted or "").replace("var(--md-code-bg-color)", "currentColor"), "contrast of 1.")):
            if noted is None or skips:
                break
            with tempfile.TemporaryDirectory(prefix="pinref-site-") as folder:
                make(Path(folder), ("other.html", "<p id", COLOURS + picture + "<p id"))
                _, wrong, _ = site_browser.check(Path(folder).resolve(), SEARCHED)
            judge(any(said in each for each in wrong) if said else not wrong, f"a diagram: {wrong}")
        site_pages.diagram("pie\n  title no such kind\n")
        judge(site_pages.diagram(MERMAID) is None, "a pie is drawn")
    except site_pages.Broken as broken:
        judge("neither of states" in str(broken), broken)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
