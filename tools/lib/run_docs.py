# SPDX-License-Identifier: MIT
"""Makes the site in build/site, and checks it."""

import argparse
import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import site_browser
import site_links
import site_pages
import tool
from tool import say

AWESOME = Path("/usr/share/doxygen-awesome-css")
STYLES = ["doxygen-awesome.css", "doxygen-awesome-sidebar-only.css"]
# A term, and a page that must be among the first that the search finds.
SEARCHED = {"page_dma_pinned": "tour.html", "registration_cache": "rdma.html", "pin_user_pages": "porting.html"}


def run(command, log, **more):
    """Appends what the command says to the log, and returns it with the exit code."""
    done = subprocess.run([str(part) for part in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    with log.open("a") as out:
        out.write(done.stdout)
    return done.returncode, done.stdout


def make_reference(root, work):
    """Doxygen's pages and list of names. docs/Doxyfile counts, but for what a part of a site has otherwise."""
    layout = work / "layout.xml"
    subprocess.run(["doxygen", "-l", layout], check=True, stdout=subprocess.DEVNULL)
    layout.write_text(layout.read_text().replace(
        "<navindex>", '<navindex>\n    <tab type="user" url="../index.html" title="To the pages"/>', 1))
    styles = [AWESOME / name for name in STYLES if (AWESOME / name).exists()]
    styles.append(root / "docs/site/reference.css")
    quoted = " ".join(f'"{path}"' for path in styles)
    settings = f"""{(root / 'docs/Doxyfile').read_text()}
OUTPUT_DIRECTORY = "{work}"
HTML_OUTPUT = reference
GENERATE_TAGFILE = "{work / 'names.xml'}"
LAYOUT_FILE = "{layout}"
HTML_EXTRA_STYLESHEET = {quoted}
VERBATIM_HEADERS = YES
HTML_TIMESTAMP = NO
"""
    code, said = run(["doxygen", "-"], work / "log", input=settings, cwd=root)
    found = sorted({line for line in said.splitlines() if re.search(r"\b(?:warning|error): ", line)})
    if code != 0 or found:
        raise site_pages.Broken("\n".join(found or [said]))
    return work / "reference", work / "names.xml"


def make(root, work, skips):
    """The site, from the tree."""
    pages, out = work / "pages", root / "build/site"
    site = site_pages.Site(root, pages)
    site.check()
    say("the reference: doxygen")
    made, tags = make_reference(root, work)
    say("the pages: mkdocs")
    site.add_reference(made, tags)
    site.add_written()
    site.add_examples()
    site.add_plots()
    site.add_sources()
    (pages / "assets").mkdir()
    shutil.copy(root / "docs/site/pages.css", pages / "assets/pages.css")
    code, said = run(["mkdocs", "build", "--strict", "--clean", "--config-file", root / "docs/site/mkdocs.yml"], work / "log")
    if code != 0:
        raise site_pages.Broken("\n".join(line for line in said.splitlines() if not line.startswith("INFO")) or said)
    # What browsers ask for where a page names none, as Doxygen's do.
    shutil.copy(out / "assets/images/favicon.png", out / "favicon.ico")
    # Found are pages, not sources.
    index = out / "search/search_index.json"
    found = json.loads(index.read_text())
    sources = {f"{file.as_posix()}.html" for file in site.sources}
    found["docs"] = [each for each in found["docs"] if each["location"].split("#")[0] not in sources]
    index.write_text(json.dumps(found, separators=(",", ":")))
    skips += sorted(site.skips)
    return out


def serve(site, port):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        print(f"http://127.0.0.1:{server.server_port}/ until Ctrl-C", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main():
    parser = argparse.ArgumentParser(prog="tools/docs", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--no-browser", action="store_true", help="without opening the pages")
    parser.add_argument("--serve", action="store_true", help="show them on http://127.0.0.1:8000/")
    options = parser.parse_args()
    root = options.root.resolve()
    missing = [program for program in ("mkdocs", "doxygen") if not shutil.which(program)]
    if missing:
        sys.exit(f"tools/docs: not found: {' and '.join(missing)}")

    begin = time.monotonic()
    work, skips = root / "build/docs", []
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        site = make(root, work, skips)
    except site_pages.Broken as broken:
        print(f"{broken}\ntools/docs: the site is not made; what the tools said is in {work / 'log'}")
        return 1

    say("links")
    wrong, outside, checked = site_links.check(site)
    listing = work / "external-links.txt"
    listing.write_text("".join(f"{link}  {page}\n" for link, page in sorted(outside.items())))
    opened = 0
    if options.no_browser:
        skips.append("no page was opened: --no-browser")
    elif wrong:
        skips.append("no page was opened: there are links to mend first")
    else:
        say("every page in a browser")
        opened, trouble, skipped = site_browser.check(site, SEARCHED)
        wrong += trouble
        skips += skipped
    for each in wrong:
        print(f"WRONG {each}")
    for each in skips:
        print(f"skipped: {each}")
    print(f"{len(outside)} links lead elsewhere: {listing}")
    print(f"the site: {site / 'index.html'}; with its search: tools/docs --serve, or any web server")
    pages = sum(1 for _ in site.rglob("*.html"))
    print(f"{pages} pages, {checked} links checked, {opened} pages opened, {len(wrong)} wrong, "
          f"{time.monotonic() - begin:.0f} s", flush=True)
    if options.serve:
        serve(site, 8000)
    return 1 if wrong else 0


if __name__ == "__main__":
    tool.main("tools/docs", main)
