# SPDX-License-Identifier: MIT
"""Prints a wrap file of Meson for a release archive of pinref.

    python3 packaging/wrap.py pinref-0.1.0.tar.xz [URL] > subprojects/pinref.wrap

Without the URL of the archive, Meson looks for it in subprojects/packagefiles.
"""

import argparse
import hashlib
from pathlib import Path


def wrap(archive, url=None):
    name = archive.name
    lines = ["[wrap-file]", f"directory = {name.removesuffix('.tar.xz')}"]
    if url:
        lines.append(f"source_url = {url}")
    lines += [
        f"source_filename = {name}",
        f"source_hash = {hashlib.sha256(archive.read_bytes()).hexdigest()}",
        "",
        "[provide]",
        "dependency_names = pinref, pinref-c, pinref-explorer",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("url", nargs="?")
    options = parser.parse_args()
    print(wrap(options.archive, options.url), end="")
