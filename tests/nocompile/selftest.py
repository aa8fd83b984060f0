# SPDX-License-Identifier: MIT
"""refused.py accepts a good case and refuses each way in which a case can be wrong.

The arguments after `--` are the compiler command. The last line reads `N passed, N failed`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

CASE = """\
// expect: {expect}
#if defined(PINREF_NOCOMPILE_CONTROL)
int main() {{ {control} }}
#else
int main() {{ {mistake} }}
#endif
"""
FIRST = CASE.replace("// expect", "// first")
MISTAKE = 'static_assert(sizeof(int) == 0, "so it goes");'
LATER = ' static_assert(sizeof(int) == 1, "later");'

# name: the case, and what refused.py says about it
CASES = {
    "good": (CASE.format(expect="so it goes", control="", mistake=MISTAKE), "refused as expected"),
    "compiles": (CASE.format(expect="so it goes", control="", mistake=""), "it compiles"),
    "other_text": (CASE.format(expect="so be it", control="", mistake=MISTAKE), "lacks ['expect: so be it']"),
    "good_first": (FIRST.format(expect="so it goes", control="", mistake=MISTAKE + LATER), "refused as expected"),
    "not_first": (FIRST.format(expect="later", control="", mistake=MISTAKE + LATER), "lacks ['first: later']"),
    "bad_control": (CASE.format(expect="so it goes", control=MISTAKE, mistake=MISTAKE),
                    "the control does not compile"),
    "no_text": (CASE.format(expect="", control="", mistake=MISTAKE), "no `// first: text` or"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    passed = failed = 0
    for name, (text, wanted) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, f"{name}.cpp").write_text(text)
            result = subprocess.run(
                [sys.executable, Path(__file__).with_name("refused.py"), "--root", folder, "--cases", folder,
                 "--", *options.command], text=True, capture_output=True)
        if wanted in result.stdout and (result.returncode == 0) == name.startswith("good"):
            passed += 1
        else:
            failed += 1
            print(f"{name}: wanted {wanted!r}:\n{result.stdout}{result.stderr}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
