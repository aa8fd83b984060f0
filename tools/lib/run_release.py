# SPDX-License-Identifier: MIT
"""Makes what a release consists of in build/release, and checks it."""

import argparse
import datetime
import email.utils
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tool
from tool import say

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "packages"), str(ROOT / "tests" / "support")]

import debian  # noqa: E402
import dist  # noqa: E402
import programs  # noqa: E402
import release_tree  # noqa: E402
import steps as steps_of_tests  # noqa: E402

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
UNIT = '#include "pinref_all.hpp"\npinref::take_result other(pinref::page_ref<>& page) { return page.try_get(); }\n'


def git(*arguments):
    """What git says, or nothing if it fails."""
    said = subprocess.run(["git", "-C", ROOT, *arguments], text=True, capture_output=True)
    return said.stdout.rstrip() if said.returncode == 0 else ""


def version_of(root):
    return re.search(r"^\s*version: '([^']+)'", (root / "meson.build").read_text(), re.M).group(1)


def section_of(root, version):
    """The date and the text of the version in CHANGELOG.md."""
    found = re.search(rf"^## {re.escape(version)}(?: - (\S+))?\n(.*?)(?=^## |\Z)", (root / "CHANGELOG.md").read_text(),
                      re.M | re.S)
    return found.groups() if found else (None, "")


def check_version(steps, version):
    steps.succeeds("one version everywhere", sys.executable, "-B", ROOT / "tests/lint/version.py", "--root", ROOT)
    written, text = section_of(ROOT, version)
    steps.judge(f"CHANGELOG.md has {version}, and says what is new", len(text.split()) > 10, text)
    steps.judge(f"CHANGELOG.md says how to upgrade to {version}", "### Upgrade notes" in text, text)
    try:
        day = datetime.date.fromisoformat(written or "")
    except ValueError:
        steps.judge(f"CHANGELOG.md says when: ## {version} - YEAR-MONTH-DAY", False, f"there is {written}")
        return
    today = datetime.datetime.now(datetime.timezone.utc).date()
    steps.judge("its day is not to come", day <= today, f"it is {day}, today is {today}")
    stamp = re.search(r"^ -- .*>  (.+)$", (ROOT / "packaging/debian/changelog").read_text(), re.M)
    packaged = email.utils.parsedate_to_datetime(stamp.group(1)).date() if stamp else None
    steps.judge("the Debian package has the same day", packaged == day, f"packaging/debian/changelog: {packaged}, not {day}")


def check_tree(steps, version):
    """Whether what would be released is what is committed, and may be tagged."""
    if not steps.judge("the tree is a repository of git", git("rev-parse", "--show-toplevel") == str(ROOT),
                       "a release is made of a commit"):
        return
    changed = git("status", "--porcelain")
    steps.judge("everything is committed", changed == "", changed)
    tag, here = git("rev-parse", "-q", "--verify", f"refs/tags/v{version}^{{commit}}"), git("rev-parse", "HEAD")
    steps.judge(f"v{version} is no tag of another commit", tag in ("", here),
                f"v{version} is {tag}, this is {here}: raise the version")
    others = [name for name in git("tag", "--points-at", "HEAD", "--list", "v*").split() if name != f"v{version}"]
    steps.judge("this commit is no other version", not others, others)


def check_header(steps, made):
    """Programs of two units, in C++ and in C, of what is attached."""
    (steps.folder / "main.cpp").write_text(programs.CXX.replace("<pinref/pinref.hpp>", '"pinref_all.hpp"'))
    (steps.folder / "unit.cpp").write_text(UNIT)
    (steps.folder / "main.c").write_text(programs.C)
    for cxx, cc in (("g++", "gcc"), ("clang++", "clang")):
        if not shutil.which(cxx):
            print(f"skipped: {cxx} is not installed")
            continue
        steps.succeeds(f"pinref_all.hpp in two units: {cxx}", cxx, "-std=c++20", *WARNINGS, f"-I{made}", "main.cpp",
                       "unit.cpp", "-o", "in_cxx")
        steps.succeeds("it runs", steps.folder / "in_cxx")
        steps.succeeds(f"pinref_c.cpp: {cxx}", cxx, "-std=c++20", "-O1", "-fno-exceptions", "-fno-rtti", *WARNINGS, f"-I{made}", "-c",
                       made / "pinref_c.cpp", "-o", "pinref_c.o")
        steps.succeeds(f"a program of it: {cc}", cc, "-std=c11", *WARNINGS, f"-I{made}", "main.c", "pinref_c.o", "-o", "in_c")
        steps.succeeds("it runs", steps.folder / "in_c")


def make(steps, made, moment, url):
    """All files of the release but the site; returns the archive and the Debian package."""
    say("the archive, twice")
    archive, again = (release_tree.make_archive(steps, ROOT, steps.folder / name, moment) for name in ("once", "again"))
    if not steps.judge("archives are made", archive and again):
        return None
    steps.judge("the same bytes twice", archive.read_bytes() == again.read_bytes())
    kept = shutil.copy2(archive, made / archive.name)
    tree = archive.parent / archive.name.removesuffix(".tar.xz")

    say("one header, one source, a wrap")
    steps.succeeds("tools/amalgamate", sys.executable, "-B", tree / "tools/amalgamate", "--output", made)
    wrap = steps.succeeds("packaging/wrap.py", sys.executable, "-B", tree / "packaging/wrap.py", kept,
                          *([f"{url.rstrip('/')}/{kept.name}"] if url else []))
    (made / "pinref.wrap").write_text(wrap)

    say("the Debian package")
    source = steps.folder / "debian" / "pinref"
    shutil.copytree(tree, source)
    package = debian.build(steps, source)
    if package:
        package = shutil.copy2(package, made / package.name)
    return kept, package


def make_site(steps, made, version, moment):
    say("the site, some minutes")
    said = steps.succeeds("tools/docs", ROOT / "tools/docs")
    print("\n".join(line for line in said.splitlines() if line.startswith("skipped:")))
    site = ROOT / "build" / "site"
    if steps.judge("there is a site", (site / "index.html").is_file()):
        named = steps.folder / f"pinref-{version}-site"
        shutil.copytree(site, named)
        release_tree.pack(steps, named, made / f"{named.name}.tar.xz", moment)


def sum_up(steps, made):
    sums = made / "SHA256SUMS"
    files = sorted(path for path in made.iterdir() if path != sums)
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files))
    steps.succeeds("the sums are those of the files", "sha256sum", "--check", "--strict", sums.name, cwd=made)
    for path in files:
        print(f"  {path.stat().st_size:>9}  {path.name}")


def release(steps, version, options):
    made = ROOT / "build" / "release"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    moment = int(git("log", "-1", "--format=%ct"))
    parts = make(steps, made, moment, options.url)
    if parts is None:
        return
    archive, package = parts
    make_site(steps, made, version, moment)

    say("what is attached, used")
    check_header(steps, made)
    say("the archive: wrap, FetchContent, its own tests")
    committed = steps.folder / "committed"
    steps.succeeds("what is committed", "git", "clone", "-q", ROOT, committed)
    dist.check_archive(steps, archive, committed)
    if package:
        say("the Debian package, installed, used and removed")
        debian.check_package(steps, package)
    say(f"all of it is in {made.relative_to(ROOT)}")
    sum_up(steps, made)


def whats_next(version, tagged):
    tag = [] if tagged else [f"git tag -a v{version} -m 'pinref {version}'"]
    print("\nNext:")
    for line in (*tag, f"git push origin v{version}",
                 "publish build/release with the section of CHANGELOG.md; a later version begins with a section of its own"):
        print(f"  {line}")
    print("Before, unless it was done for this commit: tools/test --suite all\n")


def main():
    parser = argparse.ArgumentParser(prog="tools/release", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--tag", action="store_true")
    options = parser.parse_args()
    version = version_of(ROOT)
    begin = time.monotonic()
    lacking = [name for name in sorted({*dist.NEEDS, *debian.NEEDS, "sha256sum"}) if not shutil.which(name)]
    if lacking and not options.check:
        sys.exit(f"tools/release: not found: {' '.join(lacking)}")

    with tempfile.TemporaryDirectory(prefix="pinref-release-") as folder:
        steps = steps_of_tests.Steps(ROOT, None, Path(folder).resolve())
        say(f"is {version} ready?")
        check_version(steps, version)
        check_tree(steps, version)
        if steps.failed:
            print(f"tools/release: {version} is not ready; nothing was made")
        elif not options.check:
            release(steps, version, options)

    if not steps.failed and not options.check:
        tagged = git("rev-parse", "-q", "--verify", f"refs/tags/v{version}") != ""
        if options.tag and not tagged:
            tagged = steps.judge(f"tag v{version}", steps.run("git", "-C", ROOT, "tag", "-a", f"v{version}", "-m",
                                                               f"pinref {version}", cwd=ROOT).returncode == 0)
        whats_next(version, tagged)
    print(f"{steps.passed} passed, {steps.failed} failed, {time.monotonic() - begin:.0f} s", flush=True)
    return 1 if steps.failed else 0


if __name__ == "__main__":
    tool.main("tools/release", main)
