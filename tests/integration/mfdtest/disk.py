"""A small file system of its own, to fill it up."""

import os
import shutil
import subprocess

from . import env


def mount_small(test, megabytes):
    """Mounts a new ext4 of that size for the length of TEST; its folder."""
    env.need(os.getuid() == 0, "mounting a file system needs the superuser")
    env.need(shutil.which("mkfs.ext4"), "no mkfs.ext4")
    image, folder = test.path("disk.img"), test.path("mnt")
    os.mkdir(folder)
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True,
                             check=False)
    env.need(mounted.returncode == 0, "no loop device: " + mounted.stderr.strip())
    test.addCleanup(subprocess.run, ["umount", "-q", folder], check=False)
    return folder


def free_bytes(folder):
    info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize
