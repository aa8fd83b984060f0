# SPDX-License-Identifier: MIT
"""The commands in the places where people run them: without root, without a network, without io_uring, in a path with
spaces, on tmpfs, in a tree that is read-only or another user's, on a terminal and off, interrupted. Each either works
or says in a line what to do.

A place that cannot be made here is skipped by name. Most take root.
"""

import json
import os
import re
import shutil
import signal
import sys
import uuid
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / name) for name in ("support", "packages", "lint")]

import release_tree  # noqa: E402
import steps as step_list  # noqa: E402
import terminal  # noqa: E402
import tools  # noqa: E402

QUICK = ["tools/test", "--suite", "codegen", "--build", "gcc"]
CONSUMERS = ["tools/test", "--suite", "consumers", "--build", "gcc"]
BUILDING = [[f"tools/{tool}", *arguments] for tool, *arguments in tools.BUILDING]
ALL_PASSED = r"(?m)^[1-9]\d* passed, 0 failed(, \d+ skipped)?$"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
DEMO_WORKS = r"(?m)^All as it should be; \d+ s$"
LIMIT = ["timeout", "--kill-after=10", "600"]  # nothing here may hang
NO_NETWORK = ["unshare", "-n"]
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
NO_IO_URING = [sys.executable, "-B", HERE / "without_io_uring.py"]
PACKAGE, PROGRAM = "ninja-build", "ninja"
MOUNT_TMPFS = 'mount -t tmpfs -o "size=$1" none "$2" && cd "$2" && shift 2 && '
MOUNT_READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" && shift && exec "$@"'


class Places(step_list.Steps):
    def __init__(self, root, command, folder):
        super().__init__(root, command, folder)
        folder.chmod(0o755)
        self.build = Path(command[0])
        self.printed = {}
        self.environment.pop("NO_COLOR", None)
        self.environment["GIT_CONFIG_NOSYSTEM"] = "1"
        # Where anybody finds the programs.
        self.environment["PATH"] = os.pathsep.join(
            each for each in os.environ["PATH"].split(os.pathsep) if os.geteuid() or self.works(*NOBODY, "test", "-x", each))

    def works(self, *command):
        return self.run(*command).returncode == 0

    def run(self, *command, **more):
        done = super().run(*LIMIT, *command, **more)
        self.printed[" ".join(map(str, command))] = done.stdout
        return done

    def says(self, what, pattern, *command, **more):
        """The command succeeds and prints that."""
        done = self.run(*command, **more)
        return self.judge(what, done.returncode == 0 and re.search(pattern, done.stdout), done.stdout[-6000:])

    def skip(self, place, why):
        print(f"skipped: {place}: {why}", flush=True)

    def path_without(self, *names):
        """A folder with every program there is but these."""
        folder = self.folder / f"without {' '.join(names)}"
        folder.mkdir()
        for each in self.environment["PATH"].split(os.pathsep):
            for program in sorted(Path(each).glob("*")):
                if program.name not in names and not (folder / program.name).is_symlink():
                    (folder / program.name).symlink_to(program)
        return folder

    def checkout(self, name):
        tree = self.folder / name
        release_tree.copy_tree(self.root, tree)
        (tree / "build").mkdir()
        self.run("git", "init", "-q", tree)
        self.run("git", "add", "-A", cwd=tree)
        self.run("chmod", "-R", "a+rX", tree)
        return tree


def another_user(steps, tree):
    """One who is not root, has no sudo, no network and no home, does not own the tree, and may write to build/ only."""
    mine = [*NOBODY, "env", "-u", "HOME"]
    os.chown(tree / "build", 65534, 65534)
    if steps.run(*mine, "test", "-w", tree / "build").returncode != 0:
        return steps.skip("another user", "may not go to where scratch folders are")
    steps.refused("another user: git distrusts the tree", "dubious ownership", *mine, "git", "-C", tree, "ls-files")
    steps.says("another user: the lints", ALL_PASSED, *NO_NETWORK, *mine, "tools/test", "--suite", "lint", "--build", "gcc", cwd=tree)
    steps.says("another user: tools/demo", DEMO_WORKS, *NO_NETWORK, *mine, "tools/demo", cwd=tree)
    steps.refused("another user: tools/demo where there is no such folder", "No such file or directory.*--directory",
                  *mine, "tools/demo", "--directory", steps.folder / "nowhere", cwd=tree)
    lacking_package(steps, tree, "another user", f"neither root nor sudo, so not installed: {PACKAGE}.*not found: {PROGRAM}",
                    *mine)

    os.chown(tree / "build" / "demo", 0, 0)
    for command in BUILDING:
        steps.refused(f"a build of root's: {' '.join(command)}", "cannot write to .*/build/demo, .* remove it",
                      *mine, *command, cwd=tree)
    os.chown(tree / "build", 0, 0)
    for command in [*BUILDING, ["tools/amalgamate"]]:
        steps.refused(f"a tree of root's: {' '.join(command)}", "cannot write to .*/build", *mine, *command, cwd=tree)


def lacking_package(steps, tree, who, says, *prefix):
    """For dpkg and apt the package is not installed, and its program is not found. There is no network, and dpkg does
    nothing."""
    status = Path("/var/lib/dpkg/status")
    if not status.exists() or "VERSION_ID=\"12\"" not in Path("/etc/os-release").read_text():
        return steps.skip(f"{who}: a package is missing", "this is not Debian 12")
    fake = steps.folder / f"packages of {who}"
    for name in ("dpkg/info", "dpkg/updates", "archives/partial"):
        (fake / name).mkdir(parents=True)
    entries = status.read_text().split("\n\n")
    (fake / "dpkg/status").write_text("\n\n".join(each for each in entries if not each.startswith(f"Package: {PACKAGE}\n")))
    (fake / "apt.conf").write_text(f'Dir::State::status "{fake}/dpkg/status";\nDir::Cache::archives "{fake}/archives";\n'
                                   'Dir::Bin::dpkg "/bin/false";\n')
    path = steps.folder / f"without {PROGRAM} sudo"
    if not path.exists():
        steps.path_without(PROGRAM, "sudo")
    for command in (QUICK, ["tools/demo"]):
        steps.refused(f"{who}: a package is missing: {' '.join(command)}", says, *NO_NETWORK, *prefix, *command, cwd=tree,
                      APT_CONFIG=str(fake / "apt.conf"), DPKG_ADMINDIR=str(fake / "dpkg"), PATH=str(path))


def no_network(steps, tree):
    steps.says("no network: what is installed is enough", ALL_PASSED, *NO_NETWORK, *QUICK, cwd=tree)
    lacking_package(steps, tree, "no network", f"apt-get failed.*not installed: {PACKAGE}.*not found: {PROGRAM}")


def spaces(steps, tree):
    steps.says("spaces: tools/test --suite consumers", ALL_PASSED, *CONSUMERS, cwd=tree)
    steps.says("spaces: tools/amalgamate", "pinref_all.hpp: ", "tools/amalgamate", cwd=tree)
    output = steps.folder / "made by it"
    steps.says("spaces: tools/amalgamate --output", "pinref_all.hpp: ", "tools/amalgamate", "--output", output, cwd=tree)


def read_only(steps, tree):
    there = ["unshare", "-m", "sh", "-c", MOUNT_READ_ONLY, "sh", tree]
    for command in [*BUILDING, ["tools/amalgamate"]]:
        steps.refused(f"read-only: {' '.join(command)}", "cannot write to .*/build", *there, *command)
    steps.says("read-only: tools/amalgamate --output", "pinref_all.hpp: ",
               *there, "tools/amalgamate", "--output", steps.folder / "made elsewhere")


def tmpfs(steps, tree):
    folder = steps.folder / "memory"
    folder.mkdir()

    def there(size, script, *arguments):
        return ["unshare", "-m", "sh", "-c", MOUNT_TMPFS + script, "sh", size, folder, *arguments]

    steps.says("tmpfs: a checkout", ALL_PASSED, *there("1g", f'cp -R "$1" tree && rm -rf tree/build && tree/{" ".join(QUICK)}', tree))
    steps.refused("tmpfs: tools/demo --directory", "is memory, not a disk.*--directory",
                  *there("1g", '"$1" --directory .', tree / "tools/demo"))
    for command in BUILDING:
        steps.refused(f"a full disk: {' '.join(command)}", r"build has \d+ MiB of space left",
                      *there("20m", f'cp -R "$1" . && {" ".join(command)}', tree / "tools"))


def no_io_uring(steps, tree):
    if not steps.works(*NO_IO_URING, "EPERM", "true"):
        return steps.skip("no io_uring", "no filter of system calls can be had here")
    steps.says("no io_uring: tools/demo", DEMO_WORKS, *NO_IO_URING, "EPERM", "tools/demo", cwd=tree)
    steps.says("no io_uring: tools/demo says so", "io_uring: .*; using plain O_DIRECT",
               *NO_IO_URING, "ENOSYS", tree / "build/demo/examples/uring_buffer_pool", "--seconds", "1", "--size", "16")

    tests = json.loads((steps.build / "meson-info/intro-tests.json").read_text())
    # Of the examples what is to succeed, not what shows corruption.
    wanted = [test["name"] for test in tests if test["name"] in ("unit", "fabric uring") or
              "pinref:examples" in test["suite"] and re.match(r"example (?!.*(--(?!at)|remote|without))", test["name"])]
    # Builds what is not built yet, for as long as it takes.
    output = step_list.Steps.run(steps, *NO_IO_URING, "EPERM", "meson", "test", "-C", steps.build, "--logbase", "places",
                                 *wanted).stdout
    log = steps.build / "meson-logs/places.json"
    records = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    steps.judge("no io_uring: each test ran", len(records) == len(wanted) and len(wanted) > 10, output[-3000:])
    for record in records:
        text = (record.get("stdout") or "") + (record.get("stderr") or "")
        name = record["name"].rpartition(" / ")[2]
        steps.judge(f"no io_uring: {name} passes, or names it",
                    record["result"] == "OK" or record["result"] == "SKIP" and "io_uring" in text, text[-3000:])
        if name in ("unit", "fabric uring"):
            steps.judge(f"no io_uring: {name} says what it leaves out", re.search("skipped: .*io_uring", text), text[-3000:])


def usage_of_examples(steps):
    targets = json.loads((steps.build / "meson-info/intro-targets.json").read_text())
    programs = [Path(each["filename"][0]) for each in targets
                if each["type"] == "executable" and each["defined_in"].endswith("examples/meson.build")]
    programs = [program for program in programs if program.exists()]
    steps.judge("examples: they are built", len(programs) > 8, programs)
    for program in programs:
        steps.says(f"{program.name} --help", "^usage: ", program, "--help")
        done = steps.run(program, "--wrong", "words")
        steps.judge(f"{program.name} --wrong", done.returncode == 2 and "usage: " in done.stdout, done.stdout)


def on_a_terminal(steps, tree):
    def quick(**more):
        code, printed = terminal.run(QUICK, tree, {**steps.environment, "TERM": "xterm", **more}, uuid.uuid4().hex)
        return code == 0 and re.search(ALL_PASSED, printed.replace("\r", "")), COLOUR.search(printed), printed

    works, coloured, printed = quick()
    steps.judge("a terminal: works", works, printed[-3000:])
    steps.judge("a terminal: has colours", coloured, printed[-3000:])
    works, coloured, printed = quick(NO_COLOR="1")
    steps.judge("a terminal, NO_COLOR: works", works, printed[-3000:])
    steps.judge("a terminal, NO_COLOR: has none", not coloured, printed[-3000:])


def interrupted(steps, tree):
    compiling = r"/cc1plus |/clang-\d+ .*-cc1 |clang(\+\+)?\S* .*-c "
    machines = [steps.root / "examples/remote_cache/machines.sh", steps.build / "examples/remote_cache", "--seconds", "60"]
    headers = ["tools/test", "--suite", "headers", "--build", "gcc"]  # which runs on for a minute
    cases = [
        ("testing", headers, terminal.When("== gcc: testing", r"/stand_alone\.py")),
        ("testing, by SIGTERM", headers, terminal.When("== gcc: testing", r"/stand_alone\.py", signal.SIGTERM)),
        ("building", ["tools/test", "--suite", "unit", "--build", "gcc"], terminal.When("== gcc: building", compiling)),
        ("tools/demo", ["tools/demo"], terminal.When("running: ", "uring_buffer_pool --seconds")),
        ("tools/demo, by SIGTERM", ["tools/demo"], terminal.When("running: ", "uring_buffer_pool --seconds", signal.SIGTERM)),
        ("tools/bench", ["tools/bench", "--quick"], terminal.When("== building", compiling)),
        ("tools/mutate", ["tools/mutate", "--only", "word/zones.hpp"], terminal.When("building", compiling)),
        ("two machines", machines, terminal.When("network", "remote_cache --seconds")),
    ]
    for what, command, when in cases:
        if not Path(tree, command[0]).exists() or (command is machines and not command[1].exists()):
            steps.skip(f"interrupted: {what}", "it is not built")
            continue
        mark = uuid.uuid4().hex
        code, printed = terminal.run(command, tree, steps.environment, mark, when)
        says = command is machines or f"{command[0]}: interrupted" in printed
        steps.judge(f"interrupted: {what}: ends", code not in (None, 0) and says, f"{code}: {printed[-3000:]}")
        steps.judge(f"interrupted: {what}: without a stack trace", "Traceback" not in printed, printed[-3000:])
        left = terminal.left_over(mark, 5)
        steps.judge(f"interrupted: {what}: nothing runs on", not left, left)


def bare_environment(steps, tree):
    steps.says("no HOME, no TMPDIR, LC_ALL=C, no input, umask 077", ALL_PASSED, "env", "-i", f"PATH={steps.environment['PATH']}",
               "LC_ALL=C", "TMPDIR=/nonexistent/folder", "sh", "-c", 'umask 077; exec "$@" <&-', "sh", *QUICK, cwd=tree)
    steps.refused("no python3: what is missing is named", "not found: python3", *QUICK, cwd=tree,
                  PATH=str(steps.path_without("python3")))


def stale_build(steps, tree):
    build = tree / "build/gcc"
    shutil.rmtree(build, ignore_errors=True)
    (build / "meson-private").mkdir(parents=True)
    (build / "meson-private/coredata.dat").write_text("half of it")
    steps.says("configuring was interrupted", ALL_PASSED, *QUICK, cwd=tree)

    shutil.rmtree(build)
    steps.succeeds("another compiler's build", "meson", "setup", build, cwd=tree, CXX=shutil.which("clang++") or "c++")
    steps.says("another compiler's build: tested", ALL_PASSED, *QUICK, cwd=tree)
    made_by = {each["command"].split()[0] for each in json.loads((build / "compile_commands.json").read_text())}
    steps.judge("another compiler's build: it is g++'s now", made_by == {"g++", "gcc"}, made_by)

    moved = steps.folder / "moved"
    shutil.copytree(tree, moved, symlinks=True)
    tree.rename(steps.folder / "gone")
    steps.says("a tree that was moved", ALL_PASSED, *QUICK, cwd=moved)
    (steps.folder / "gone").rename(tree)


def check(steps):
    tree = steps.checkout("a b  c/pin ref")
    if os.geteuid() == 0 and steps.works(*NO_NETWORK, *NOBODY, "true"):
        another_user(steps, tree)
    else:
        steps.skip("another user", "it takes root, setpriv and network namespaces")
    if steps.works(*NO_NETWORK, "true"):
        no_network(steps, tree)
    else:
        steps.skip("no network", "there are no network namespaces")
    spaces(steps, tree)
    if steps.works("unshare", "-m", "sh", "-c", MOUNT_TMPFS + "true", "sh", "1m", steps.folder):
        read_only(steps, tree)
        tmpfs(steps, tree)
    else:
        steps.skip("read-only, tmpfs, a full disk", "nothing can be mounted")
    no_io_uring(steps, tree)
    usage_of_examples(steps)
    on_a_terminal(steps, tree)
    interrupted(steps, tree)
    bare_environment(steps, tree)
    stale_build(steps, tree)

    coloured = [name for name, text in steps.printed.items() if COLOUR.search(text)]
    steps.judge("no colours off a terminal", not coloured, coloured)
    traced = [name for name, text in steps.printed.items() if "Traceback" in text]
    steps.judge("no stack trace anywhere", not traced, traced)


if __name__ == "__main__":
    step_list.main(__doc__, ["git", "g++", "meson", "ninja", "unshare", "timeout"], check, make=Places, compiler=True)
