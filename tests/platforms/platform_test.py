# SPDX-License-Identifier: MIT
"""What the tests of platforms share: steps in a scratch folder, as for packages."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from steps import main  # noqa: E402,F401
