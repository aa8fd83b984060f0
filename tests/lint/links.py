# SPDX-License-Identifier: MIT
"""Every link of a page leads somewhere: to a file or folder of the tree, to a heading that is there. And every page stands
in the navigation of the site, docs/site/mkdocs.yml. Links that lead elsewhere are not followed.
"""

import sys
from pathlib import Path

import tree

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "lib"))

import site_pages  # noqa: E402


def check(root):
    return site_pages.Site(root, None).findings()


if __name__ == "__main__":
    tree.main(__doc__, check)
