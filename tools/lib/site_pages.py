# SPDX-License-Identifier: MIT
"""The pages of the site as MkDocs is to read them: those of the tree, in the folders they have there, with what only code
hosts can show made plain, and some that are made here.
"""

import html
import re
import shutil
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ElementTree
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "lint"))

from tree import blank, files as files_of, line_of  # noqa: E402

FENCE = re.compile(r"^ {0,3}```.*?^ {0,3}```[ \t]*$", re.M | re.S)
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)|<!--.*?-->", re.S)
TARGET = re.compile(r"\]\(([^()\s]+)\)")
MERMAID = re.compile(r"^```mermaid\n(.*?)^```[ \t]*$", re.M | re.S)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)
LANGUAGES = {".hpp": "cpp", ".cpp": "cpp", ".h": "c", ".c": "c", ".py": "python", ".sh": "bash", ".build": "meson"}
# What is copied as it is.
PICTURES = {".svg", ".png"}
STYLE = """\
skinparam monochrome true
skinparam shadowing false
skinparam backgroundColor transparent
skinparam defaultFontName DejaVu Sans
skinparam nodesep 10
skinparam ranksep 30
hide empty description
"""
# From below, and what is beside them.
FLOORS = ["sync", "word", "parts", "ref", "page", "gup", "protocols", "handles", "observe", "share", "host"]


class Broken(Exception):
    """What is wrong with the tree's pages, a line each."""


def blanked(text):
    """The text without fences, spans of code and comments, character for character."""
    for pattern in (FENCE, CODE):
        text = pattern.sub(lambda found: blank(found.group()), text)
    return text


def links_of(text):
    """(position, target) of every link and picture of a page."""
    return [(found.start(1), found.group(1)) for found in TARGET.finditer(blanked(text))]


def headings_of(text):
    """What a link may name of a page, as code hosts do it."""
    seen, names = {}, set()
    plain = FENCE.sub("", text)
    for found in re.finditer(r"^#{1,6} +(.*?) *#*$", plain, re.M):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", found.group(1))
        name = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        names.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return names


def colour_of(grey):
    """PlantUML's greys, as colours of the page."""
    if grey == "#FFFFFF":
        return "none"
    return "currentColor" if grey < "#8" else "var(--md-code-bg-color)"


def diagram(text):
    """A diagram of Mermaid as SVG in the page's colours, or None where PlantUML, which reads nearly the same, is not."""
    if not shutil.which("plantuml"):
        return None
    kind, body = text.split("\n", 1)
    if kind.startswith("stateDiagram"):
        body = "left to right direction\n" + re.sub(
            r"^(.*?-->.*?): (.*)", lambda found: f"{found.group(1)}: " + "\\n".join(textwrap.wrap(found.group(2), 18)),
            body, flags=re.M)
    elif kind.startswith("sequenceDiagram"):
        body = re.sub(r"^( *)participant (\S+) as (.*)", r'\1participant "\3" as \2', body, flags=re.M)
    else:
        raise Broken(f"a diagram that is neither of states nor a sequence: {kind}")
    done = subprocess.run(["plantuml", "-tsvg", "-pipe"], input=f"@startuml\n{STYLE}{body}@enduml\n", text=True,
                          capture_output=True)
    found = re.search(r"<svg.*</svg>", done.stdout, re.S)
    if done.returncode != 0 or not found:
        raise Broken(f"plantuml: {done.stderr.strip()}")
    drawn = re.sub(r"<!--.*?-->|<\?[^>]*\?>|\n", "", found.group(), flags=re.S)
    drawn = re.sub(r'^<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="\1">',
                   drawn)
    drawn = re.sub(r"#[0-9A-F]{6}\b", lambda grey: colour_of(grey.group()), drawn)
    return f'<div class="diagram" markdown="0">{drawn}</div>'


class Site:
    """Gathers the pages of the tree at `root` in the folder `pages`."""

    def __init__(self, root, pages):
        self.root, self.pages = root, pages
        self.files = [path.relative_to(root) for path in files_of(root)]
        self.folders = {parent for file in self.files for parent in file.parents}
        self.written = [file for file in self.files if file.suffix == ".md" and file.parts[0] not in ("tests", "subprojects")]
        self.sources = set()
        self.skips = set()
        self.reference = {}

    def findings(self):
        """What is wrong before anything is made: links that lead nowhere, pages that nobody finds."""
        config = (self.root / "docs/site/mkdocs.yml").read_text()
        listed = {Path(name) for name in re.findall(r"^\s+- [^:\n]+: (\S+\.md)$", config, re.M)}
        made = {Path(name) for name in ("api.md", "plots.md", "examples/index.md")}
        texts = {page: (self.root / page).read_text() for page in self.written}
        headings = {page: headings_of(text) for page, text in texts.items()}
        for page in sorted(set(self.written) - listed):
            yield f"{page}: is not in docs/site/mkdocs.yml"
        for page in sorted(listed - made - set(self.written)):
            yield f"docs/site/mkdocs.yml: {page} is not there"
        for page, text in texts.items():
            for position, target in links_of(text):
                where = f"{page}:{line_of(text, position)}: {target}"
                place = self.place(page, target)
                place = page if target.startswith("#") else place
                if place is None:
                    yield f"{where} is not there"
                elif "#" in target and place in headings and target.split("#")[1] not in headings[place]:
                    yield f"{where}: the page has no such heading"

    def check(self):
        wrong = list(self.findings())
        if wrong:
            raise Broken("\n".join(wrong))

    def place(self, page, target):
        """What a link of a page leads to: a path of the tree, "" for elsewhere and the page itself, None for nothing."""
        if ELSEWHERE.match(target) or target.startswith("#"):
            return ""
        name = target.split("#")[0]
        try:
            place = (self.root / page.parent / name).resolve().relative_to(self.root)
        except ValueError:
            return None
        return place if place in self.folders or place in self.files else None

    def redirected(self, page, target):
        """A link as the site has it."""
        place = self.place(page, target)
        up = "../" * len(page.parent.parts)
        if place == "" or place in self.written:
            return target
        if place in self.folders:
            if place == Path("examples"):
                return f"{up}examples/index.md"
            self.sources |= {file for file in self.files if place in file.parents}
            return f"{up}{(place / 'index.md').as_posix()}"
        if place.suffix in PICTURES:
            (self.pages / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.root / place, self.pages / place)
            return target
        if place.as_posix() in self.reference:
            return f"{up}reference/{self.reference[place.as_posix()]}"
        self.sources.add(place)
        return f"{up}{place.as_posix()}.md"

    def write(self, page, text):
        target = self.pages / page
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def add_written(self):
        for page in self.written:
            text = (self.root / page).read_text()
            for position, target in reversed(links_of(text)):
                text = text[:position] + self.redirected(page, target) + text[position + len(target):]
            self.write(page, MERMAID.sub(self.drawn, text))

    def drawn(self, found):
        made = diagram(found.group(1))
        if made is None:
            self.skips.add("diagrams are shown as text: plantuml is not installed")
        return made or found.group().replace("```mermaid", "```text", 1)

    def add_examples(self):
        """One page that tells of each, and the sources."""
        rows = []
        for main in self.files:
            if main.parts[0] != "examples" or main.stem != "main":
                continue
            opening = re.search(r"(?:^//[^\n]*\n)+", (self.root / main).read_text().split("\n", 2)[2], re.M).group()
            paragraphs = re.sub(r"^// ?", "", opening, flags=re.M).strip().split("\n\n")
            files = [file for file in self.files if main.parent in file.parents]
            self.sources |= set(files)
            links = " · ".join(f"[{file.name}]({file.relative_to('examples').as_posix()}.md)" for file in files)
            rows.append(f"## {main.parent.name}\n\n" + "\n\n".join(shown(each) for each in paragraphs) + f"\n\n{links}\n")
        if rows:
            self.write(Path("examples/index.md"), "# Examples\n\nWhole programs, each with a control that leaves something "
                       "out and is caught. `ninja -C build/mine` builds those whose libraries are there.\n\n" + "\n".join(rows))

    def add_sources(self):
        """A page for each file that is linked, and for each folder a list."""
        folders = {}
        for file in sorted(self.sources):
            try:
                text = (self.root / file).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise Broken(f"{file}: a link leads there, and it is no text") from None
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
            language = LANGUAGES.get(file.suffix, "text")
            if "#!/bin/sh" in text[:20]:
                language = "bash"
            self.write(Path(f"{file}.md"), f"# {file.as_posix()}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n")
            folders.setdefault(file.parent, []).append(file)
        for folder, files in folders.items():
            if folder != Path("examples") and not (self.pages / folder / "README.md").exists():
                lines = [f"- [{file.name}]({file.name}.md)" for file in files]
                self.write(folder / "index.md", f"# {folder.as_posix()}/\n\n" + "\n".join(lines) + "\n")

    def add_plots(self):
        picture = Path("docs/benchmarks.svg")
        shutil.copy(self.root / picture, self.pages / picture)
        text = ("# Plots\n\n![Get and put, pin and unpin, by scheme and threads](docs/benchmarks.svg)\n\nThis is the picture of "
                "[the front page](README.md#numbers), made by `tools/bench --readme`. [How it is measured](docs/benchmarks.md) "
                "says what a bar is.\n\n## All of it\n\n")
        reports = []
        for report in sorted((self.root / "build").glob("bench*/report.html")):
            if 'name="viewport"' not in report.read_text():
                self.skips.add(f"{report.relative_to(self.root)} is of an older tools/bench")
                continue
            reports.append(report)
            name = f"bench/{report.parent.name}.html"
            (self.pages / name).parent.mkdir(exist_ok=True)
            shutil.copy(report, self.pages / name)
            said = re.search(r"</h1><p>([^<.]*)", report.read_text())
            text += f"- [The report of {html.unescape(said.group(1)) if said else report.parent.name}]({name})\n"
        if not reports:
            text += ("The report has a plot of every workload, for the machine it was made on. There is none here: run "
                     "`tools/bench`, some ten minutes, or `tools/bench --quick`, under three, and `tools/docs` again.\n")
            self.skips.add("no report of benchmarks is shown: tools/bench makes it, in ten minutes")
        self.write(Path("plots.md"), text)

    def add_reference(self, made, tags):
        """What Doxygen made, as it is, and a page of all names."""
        shutil.copytree(made, self.pages / "reference")
        tree = ElementTree.parse(tags).getroot()
        for each in tree.iter("compound"):
            if each.get("kind") == "file":
                path = Path(each.findtext("path", ""), each.findtext("name", ""))
                path = path.relative_to(self.root) if path.is_absolute() else path
                self.reference[path.as_posix()] = each.findtext("filename")
        places = {each.findtext("name"): each.findtext("filename") for each in tree.iter("compound")
                  if each.get("kind") in ("class", "struct", "concept")}
        groups = {each.findtext("name"): each for each in tree.iter("compound") if each.get("kind") == "group"}
        names = [*(floor for floor in FLOORS if floor in groups), *sorted(set(groups) - set(FLOORS))]
        text = ("# All names\n\nEvery public name by its floor, from below, with a link into "
                "[the reference](reference/index.html), which is made from the comments of the headers.\n")
        for floor in names:
            group = groups[floor]
            opening = (self.root / f"include/pinref/{floor}.hpp").read_text()
            about = re.search(rf"^/// The floor {floor}/: (.*?)\n///\n", opening, re.M | re.S)
            words = re.sub(r"\n/// ?", " ", about.group(1)) if about else ""
            text += f"\n## {floor}/\n\n{words[:1].upper()}{words[1:]} [In full](reference/{group.findtext('filename')})\n\n"
            types = [each.text for each in (*group.findall("concept"), *group.findall("class"))]
            text += listed("Concepts and types", {
                name.removeprefix("pinref::"): places[name] for name in types if "<" not in name and name in places})
            members = {}
            for member in group.findall("member"):
                name = member.findtext("name")
                if name.isidentifier():
                    kind = {"function": "Functions", "define": "Macros"}.get(member.get("kind"), "Enums, aliases, constants")
                    members.setdefault(kind, {}).setdefault(
                        name, f"{member.findtext('anchorfile')}#{member.findtext('anchor')}")
            for kind, names in sorted(members.items()):
                text += listed(kind, names)
        self.write(Path("api.md"), text)


def shown(paragraph):
    """A paragraph of an opening comment."""
    return paragraph if not paragraph.startswith(" ") else "```text\n" + textwrap.dedent(paragraph) + "\n```"


def listed(title, names):
    if not names:
        return ""
    return f"{title}:\n" + ",\n".join(f"[`{name}`](reference/{where})" for name, where in names.items()) + "\n\n"
