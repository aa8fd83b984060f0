# SPDX-License-Identifier: MIT
"""What the tools share: how a build is configured, how programs are run, and how a tool ends that is interrupted."""

import shutil
import signal
import subprocess
import sys

INTERRUPTED = 130


def say(text):
    print(f"== {text}", flush=True)


def run(command, **how):
    """Whether it ends well. Meson and ninja end their children when they are terminated, so an interrupted tool
    terminates them and waits."""
    process = subprocess.Popen([str(part) for part in command], **how)
    try:
        return process.wait() == 0
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def version(compiler):
    try:
        return subprocess.run([*compiler.split(), "--version"], capture_output=True, text=True).stdout
    except OSError:
        return ""  # Meson will say so


def configure(root, folder, compiler, options, **how):
    """meson setup; anew where what is in the folder is of no use, or of another compiler, which Meson would keep. What it
    says goes to a log, and its end is shown if it fails."""
    made_by, this = folder / "made-by", f"{compiler}\n{version(compiler)}"
    command = ["meson", "setup", folder, root, *options]
    log = folder.parent / f"{folder.name}.log"
    with open(log, "w") as out:
        def setup(*more):
            return run([*command, *more], stdout=out, stderr=subprocess.STDOUT, **how)

        if (folder / "build.ninja").exists():
            if made_by.exists() and made_by.read_text() == this and setup("--reconfigure"):
                return True
            say(f"{folder.name}: starting over")
        shutil.rmtree(folder, ignore_errors=True)
        if setup():
            made_by.write_text(this)
            return True
    print("\n".join(log.read_text(errors="replace").splitlines()[-20:]))
    print(f"configuring failed; all of it is in {log}", flush=True)
    return False


def main(name, job):
    """Runs the tool. To be told to end is to be interrupted."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(job())
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:
        sys.exit(f"{name}: {error}")
