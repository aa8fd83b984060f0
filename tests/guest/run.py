# SPDX-License-Identifier: MIT
"""Runs a test program in a guest with Debian's own kernel, soft-RoCE and a pmem device, under qemu without KVM.

The kernel's package is downloaded once, and unpacked beside the build; nothing of it is installed. The guest has no
network but its own. What the program prints is printed, and its last line counts its cases. Exit code 77, with a reason
in the last line, where something is not to be had.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIP = 77
PROGRAMS = ["qemu-system-x86_64", "busybox", "cpio", "depmod", "modprobe", "dpkg-deb", "apt-get", "apt-cache", "ldd"]
TOOLS = ["ip", "rdma", "mke2fs"]
# Without crc32_generic rxe does not come up.
MODULES = ["crc32_generic", "rdma_rxe", "dummy", "ext4", "nd_pmem", "nd_e820", "dax", "libnvdimm"]
SECONDS = 180
DONE = re.compile(r"^guest: the program ended with (\d+)", re.M)

INIT = """#!/bin/sh
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev; mount -t tmpfs none /tmp
while read -r module; do insmod "$module" 2>/dev/null; done </modules
/tools/ip link set lo up
# The module makes one by itself.
/tools/ip addr add 10.9.0.1/24 dev dummy0 && /tools/ip link set dummy0 up
/tools/rdma link add rxe0 type rxe netdev dummy0
/tools/mke2fs -q -F -t ext4 -b 4096 /dev/pmem0
sleep 1
/tests --no-version --no-colors=true
echo "guest: the program ended with $?"
sync
poweroff -f
"""


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def output_of(*command):
    return subprocess.run([str(part) for part in command], text=True, capture_output=True).stdout


def kernel(folder):
    """The folder of an unpacked kernel package, and its version."""
    unpacked = folder / "kernel"
    if not list(unpacked.glob("boot/vmlinuz-*")):
        depends = re.search(r"Depends: (linux-image-\S+)", output_of("apt-cache", "depends", "linux-image-amd64"))
        if not depends:
            skip("no kernel package is known here: apt-get update")
        folder.mkdir(parents=True, exist_ok=True)
        name = depends[1]
        subprocess.run(["apt-get", "-q", "download", name], cwd=folder, capture_output=True)
        packages = sorted(folder.glob(f"{name}_*.deb"))
        if not packages:
            skip(f"the package {name} cannot be downloaded")
        partial = folder / "kernel.part"
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run(["dpkg-deb", "-x", packages[-1], partial], check=True)
        packages[-1].unlink()
        partial.rename(unpacked)
    image = next(unpacked.glob("boot/vmlinuz-*"))
    version = image.name.removeprefix("vmlinuz-")
    if not (unpacked / "lib/modules" / version / "modules.dep.bin").exists():
        subprocess.run(["depmod", "-b", unpacked, version], check=True)
    return unpacked, image, version


def copy_with_libraries(program, root, where):
    target = root / where.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, target)
    for library in re.findall(r"(/\S+)", output_of("ldd", program)):
        library = library.rstrip(":")
        inside = root / library.lstrip("/")
        if not inside.exists() and Path(library).exists():
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, inside)


def fill(root, tests, unpacked, version):
    for name in ["proc", "sys", "dev", "tmp", "mnt", "bin", "etc"]:
        (root / name).mkdir()
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    for applet in ["sh", "mount", "insmod", "sleep", "sync", "poweroff", "echo"]:
        (root / "bin" / applet).symlink_to("busybox")
    copy_with_libraries(tests, root, "/tests")
    for tool in TOOLS:
        copy_with_libraries(shutil.which(tool), root, f"/tools/{tool}")
    # libibverbs finds its driver by name.
    driver = next(Path("/usr/lib").glob("*/libibverbs/librxe-rdmav*.so"))
    copy_with_libraries(driver, root, str(driver))
    copy_with_libraries(driver, root, str(driver.parent.parent / driver.name))
    (root / "etc/libibverbs.d").mkdir()
    shutil.copy("/etc/libibverbs.d/rxe.driver", root / "etc/libibverbs.d")

    modules = []
    for name in MODULES:
        shown = output_of("modprobe", "-d", unpacked, "-S", version, "--show-depends", name)
        for path in re.findall(r"^insmod (\S+)", shown, re.M):
            if path not in modules:
                modules.append(path)
    for path in modules:
        inside = root / Path(path).relative_to(unpacked)
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, inside)
    (root / "modules").write_text("".join(f"/{Path(path).relative_to(unpacked)}\n" for path in modules))
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="where the kernel is kept")
    parser.add_argument("tests", type=Path)
    args = parser.parse_args()

    # Some are for the administrator's path only.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lacking = [name for name in [*PROGRAMS, *TOOLS] if not shutil.which(name)]
    if lacking:
        skip(f"not installed: {', '.join(lacking)}")
    if not list(Path("/usr/lib").glob("*/libibverbs/librxe-rdmav*.so")):
        skip("not installed: ibverbs-providers")
    unpacked, image, version = kernel(args.cache.resolve())

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        fill(root, args.tests, unpacked, version)
        listed = "\n".join(str(path.relative_to(root)) for path in root.rglob("*"))
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=listed.encode(), cwd=root,
                                 stdout=subprocess.PIPE, check=True).stdout
        initrd = Path(folder, "initrd.gz")
        initrd.write_bytes(gzip.compress(archive, 1))
        command = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
                   "-kernel", image, "-initrd", initrd,
                   "-append", "console=ttyS0 quiet panic=-1 memmap=128M!640M",
                   "-nographic", "-no-reboot", "-nic", "none"]
        try:
            said = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=SECONDS).stdout
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"") + b"\nguest: it did not end\n"
    text = said.decode(errors="replace").replace("\r", "")
    print(text[text.find("[doctest]"):] if "[doctest]" in text else text)
    ended = DONE.search(text)
    return int(ended[1]) if ended else 1


if __name__ == "__main__":
    sys.exit(main())
