"""File systems of their own on loop devices, to fill them up and to have them fail.

Nothing here asks udev or systemd for anything: the device nodes are made where they are missing, so
that a plain chroot does.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import struct
import subprocess
from dataclasses import dataclass

from . import env
from .qmp import wait_until

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_MAJOR = 7
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
MIB = 1 << 20


@dataclass(frozen=True)
class Kind:
    """What a file system is made and mounted with."""

    name: str
    type: str
    mkfs: tuple = ()
    options: str = ""
    sector: int = 512
    megabytes: int = 320  # XFS takes no less than 300


_MKFS_EXT4 = ("mkfs.ext4", "-q", "-m", "0")
EXT4 = Kind("ext4", "ext4", _MKFS_EXT4, "errors=remount-ro")
KINDS = (
    EXT4,
    Kind("ext4, 4 KiB blocks", "ext4", _MKFS_EXT4, "errors=remount-ro", 4096),
    Kind("XFS", "xfs", ("mkfs.xfs", "-q", "-f")),
    Kind("Btrfs", "btrfs", ("mkfs.btrfs", "-q", "-f")),
    Kind("tmpfs", "tmpfs", megabytes=96),
)


def _run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def _loop_device(image, sector, direct):
    """A loop device for IMAGE. Between asking for a free one and taking it others may be faster."""
    options = ["--sector-size", str(sector)] + ["--direct-io=on"] * direct

    def attach():
        try:
            control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            env.need(False, "no loop devices: %s" % error)
        try:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
        finally:
            os.close(control)
        device = "/dev/loop%d" % number
        if not os.path.exists(device):
            try:
                os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
            except FileExistsError:
                pass
        done = _run("losetup", *options, device, image)
        if done.returncode == 0:
            return device
        env.need("busy" in done.stderr, "no loop device: " + done.stderr.strip())
        return None

    return wait_until(attach, "a loop device is free")


class Disk:
    """A new file system, mounted at `folder` for the length of TEST. IMAGE is where its blocks go;
    where that is a file of FaultFs, the disk fails when FaultFs is told so, and nothing between the
    two caches what is read."""

    def __init__(self, test, kind=EXT4, megabytes=None, image=None):
        env.need(os.getuid() == 0, "mounting a file system needs the superuser")
        self.kind = kind
        self.megabytes = megabytes or kind.megabytes
        self.folder = test.path("mnt-" + kind.type + str(kind.sector))
        self.device = "none"
        if kind.mkfs:
            env.need(shutil.which(kind.mkfs[0]), "no " + kind.mkfs[0])
            self._make(test, image)
        os.mkdir(self.folder)
        mounted = self.mount()
        env.need(mounted.returncode == 0,
                 "no %s here: %s" % (kind.type, mounted.stderr.strip()))
        test.addCleanup(_run, "umount", "-q", self.folder)

    def _make(self, test, image):
        path = image or self.folder + ".img"
        with open(path, "wb") as file:
            file.truncate(self.megabytes * MIB)
        self.device = _loop_device(path, self.kind.sector, image is not None)
        test.addCleanup(_run, "losetup", "--detach", self.device)
        made = _run(*self.kind.mkfs, self.device)
        assert made.returncode == 0, made.stderr

    def mount(self):
        options = self.kind.options or "defaults"
        if self.kind.type == "tmpfs":
            options = "size=%dm" % self.megabytes
        return _run("mount", "-t", self.kind.type, "-o", options, self.device, self.folder)

    def remount(self):
        """Mounted anew: nothing of it is cached any more. A tmpfs, which is nothing but that cache,
        stays. Fails if somebody keeps a file open; the kernel lets go of the files of an io_uring
        some moments after its owner."""
        if not self.kind.mkfs:
            return
        wait_until(lambda: _run("umount", self.folder).returncode == 0,
                   "nothing of %s is open" % self.folder)
        done = self.mount()
        assert done.returncode == 0, done.stderr

    def forget(self, name):
        """Without the file NAME, whatever was done to the file system before or is done to it next:
        one that met an error may take no change until it is mounted anew; XFS frees the space of a
        file some moments after the file went; and until its journal says so, one that stops has
        the file again."""
        self.remount()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(name))
        self.remount()

    def set_writable(self, writable):
        done = _run("mount", "-o", "remount," + ("rw" if writable else "ro"), self.folder)
        assert done.returncode == 0, done.stderr

    def report_damage(self):
        """An ext4 hears of an error in its metadata, and with that no longer writes. Where there is
        no /sys to tell it, it is shut down, with what it has not written left unwritten."""
        trigger = "/sys/fs/ext4/%s/trigger_fs_error" % os.path.basename(self.device)
        if os.path.exists(trigger):
            with open(trigger, "w", encoding="ascii") as file:
                file.write("set off by a test of multifdd")
            return
        folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def free_bytes(self):
        return free_bytes(self.folder)

    def fill(self, name, left):
        """Takes all space but about LEFT bytes with the file NAME."""
        size, step = 0, 64 * MIB
        with open(self.path(name), "wb") as file:
            while step >= MIB:
                try:
                    if self.free_bytes() < left + step:
                        raise OSError("enough")
                    os.posix_fallocate(file.fileno(), size, step)
                    size += step
                except OSError:
                    step //= 2
            os.fsync(file.fileno())


def mount_small(test, megabytes):
    """Mounts a new ext4 of that size for the length of TEST; its folder."""
    return Disk(test, EXT4, megabytes).folder


def free_bytes(folder):
    info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize
