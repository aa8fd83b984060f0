# SPDX-License-Identifier: MIT
"""Every link of a folder of HTML, checked without a network: the file is there, and so is the heading."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

LINKS = {("a", "href"), ("link", "href"), ("area", "href"), ("img", "src"), ("script", "src"), ("iframe", "src"),
         ("source", "src"), ("object", "data"), ("image", "href"), ("use", "href")}
URL = re.compile(r"url\(\s*['\"]?([^'\")]+)")


class Page(HTMLParser):
    """The links of a page, and what a link may lead to in it."""

    def __init__(self, text):
        super().__init__()
        self.links, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.names.add(value)
            if (tag, name.removeprefix("xlink:")) in LINKS:
                self.links.append(value)
            elif name == "style":
                self.links += URL.findall(value)


def check(site):
    """(what is wrong, links that lead elsewhere, how many were checked)."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    wrong, outside, checked = [], {}, 0
    links = [(path, link) for path, page in pages.items() for link in page.links]
    for path in sorted(site.rglob("*.css")):
        links += [(path, link) for link in URL.findall(path.read_text(encoding="utf-8"))]
    for path, link in links:
        if link.startswith(("data:", "javascript:")):
            continue
        checked += 1
        parts = urlsplit(link)
        name = path.relative_to(site)
        if parts.scheme or parts.netloc:
            outside.setdefault(link, name)
            continue
        # The page for what is missing is shown in every folder, so its links begin at the top.
        base = site if parts.path.startswith("/") else path.parent
        target = (base / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_relative_to(site):
            wrong.append(f"{name}: {link} leaves the site")
        elif not target.is_file():
            wrong.append(f"{name}: {link} is not there")
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names \
                and parts.fragment != "top":
            wrong.append(f"{name}: {link}: the page has no such place")
    return wrong, outside, checked
