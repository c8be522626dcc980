#!/usr/bin/env python3
"""A save by a daemon that may use less memory than the guest has (MemoryMax= of its unit).

The guest's RAM is another process's, so the limit is met by the daemon's own memory and by the page
cache of what it writes. MFD_CGROUP names a cgroup with a limit to run the daemon in; without it one
is made, which needs the superuser.
"""

import contextlib
import os
import random
import tempfile

from mfdtest import env, runner
from mfdtest.migrate import Settings, load, save
from mfdtest.process import multifdd
from mfdtest.qmp import wait_until

_GUEST_BYTES = 256 << 20
_LIMIT_BYTES = 64 << 20

# The unified hierarchy, and the memory controller alone: the folder, the limit, the account of
# processes that were ended for lack of memory.
_UNIFIED = ("/sys/fs/cgroup", "memory.max", "memory.events")
_ALONE = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control")


def read(*path):
    with open(os.path.join(*path), encoding="ascii") as file:
        return file.read()


def write(text, *path):
    with open(os.path.join(*path), "w", encoding="ascii") as file:
        file.write(text)


def make_limited(root, limit):
    """A new cgroup below ROOT, or None."""
    folder = None
    try:
        if root == _UNIFIED[0]:
            write("+memory", root, "cgroup.subtree_control")
        folder = tempfile.mkdtemp(prefix="mfd-", dir=root)
        write(str(_LIMIT_BYTES), folder, limit)
        return folder
    except OSError as error:
        env.note("no memory limit by %s: %s" % (root, error))
        if folder:
            os.rmdir(folder)
        return None


@contextlib.contextmanager
def limited_cgroup():
    """The folder of a cgroup with less memory than the guest."""
    if "MFD_CGROUP" in os.environ:
        yield os.environ["MFD_CGROUP"]
        return
    folder = make_limited(*_ALONE[:2]) or make_limited(*_UNIFIED[:2])
    env.need(folder, "no cgroup with a memory limit can be made here")
    try:
        yield folder
    finally:
        wait_until(lambda: not read(folder, "cgroup.procs"), "the cgroup is empty")
        os.rmdir(folder)


def processes_ended(folder):
    account = _UNIFIED[2] if os.path.exists(os.path.join(folder, _UNIFIED[2])) else _ALONE[2]
    return int(dict(line.split() for line in read(folder, account).splitlines())["oom_kill"])


class LessMemoryThanTheGuest(runner.TestCase):
    def test_a_buffered_save_completes_and_is_whole(self):
        block = self.ram("ram", _GUEST_BYTES)
        piece = random.Random(11).randbytes(1 << 20)
        for at in range(0, _GUEST_BYTES, len(piece)):
            os.pwrite(block.fd, piece, at)
        digest = block.sha256()
        target = self.path("saved")
        settings = Settings(channels=2)
        with limited_cgroup() as cgroup:
            before = processes_ended(cgroup)
            with multifdd([block]) as program:
                write(str(program.process.pid), cgroup, "cgroup.procs")
                info = save(program.connect(), "file:" + target, settings)
                self.assertEqual(processes_ended(cgroup), before)
        written = os.stat(target).st_blocks * 512
        self.assertGreater(written, _LIMIT_BYTES)
        env.note("%d MiB written in %.2f s" % (written >> 20, info["total-time"] / 1000))
        block.clear()
        with multifdd([block], incoming="defer") as program:
            load(program.connect(), "file:" + target, settings)
        self.assertEqual(block.sha256(), digest)


if __name__ == "__main__":
    runner.main()
