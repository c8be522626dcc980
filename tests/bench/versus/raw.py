"""What the device and the memory do by themselves, measured in the same alternation."""

import json
import mmap
import os
import shutil
import subprocess
import time

#: Of the shapes tried (256 KiB to 4 MiB, 1 and 2 jobs, with and without allocation beforehand) the
#: one that moved a new file fastest.
_SHAPE = ("--bs=1M", "--iodepth=4", "--numjobs=2")
#: As many transfers, so as much source memory, as guest RAM would be.
_LARGE_SOURCE = ("--bs=1M", "--iodepth=256", "--numjobs=2")

_MADV_POPULATE_WRITE = 23


def has_fio():
    return shutil.which("fio") is not None


def _fio(path, size, kind, shape, *options):
    half = max(1, size // 2 >> 20) << 20
    said = subprocess.run(
        ["fio", "--name=raw", "--filename=" + path, "--size=%d" % half, "--rw=" + kind,
         "--offset_increment=%d" % half, "--group_reporting", "--output-format=json",
         "--ioengine=io_uring", "--direct=1", "--scramble_buffers=0", *shape, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    job = json.loads(said[said.index("{"):])["jobs"][0]
    return {"wall_s": job[kind]["runtime"] / 1000, "file_bytes": size}


def write(path, size, large_source=False):
    """SIZE bytes into the new file PATH, up to stable storage."""
    return _fio(path, size, "write", _LARGE_SOURCE if large_source else _SHAPE,
                "--fallocate=native", "--end_fsync=1")


def read(path, size):
    return _fio(path, size, "read", _SHAPE)


def allocate(size, processes=2):
    """All pages of a new memfd of SIZE bytes, given by as many processes as there are processors."""
    part = max(1, size // processes >> 12) << 12
    fd = os.memfd_create("allocate", os.MFD_CLOEXEC)
    os.ftruncate(fd, part * processes)
    ready, go = os.pipe(), os.pipe()
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            memory = mmap.mmap(fd, part, mmap.MAP_SHARED, offset=number * part)
            os.write(ready[1], b".")
            os.read(go[0], 1)
            memory.madvise(_MADV_POPULATE_WRITE)
            os._exit(0)
        children.append(child)
    for _ in children:
        os.read(ready[0], 1)
    start = time.monotonic()
    os.write(go[1], b"." * processes)
    for child in children:
        os.waitpid(child, 0)
    seconds = time.monotonic() - start
    for end in (*ready, *go, fd):
        os.close(end)
    return {"wall_s": seconds, "guest_bytes_allocated": part * processes}
