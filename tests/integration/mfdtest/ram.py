"""Guest RAM as shared memory files: a test sees the same bytes as the program under test."""

import hashlib
import importlib.util
import os

from . import env

PAGE = 4096
#: What memory holds before a load that should replace it all or not touch it. No page of the recipe
#: is like it.
PATTERN = b"\xa5\x5a\xc3\x3c" * (PAGE // 4)

_MEMORY = "/dev/shm"
#: Two of them fit into the processor's cache.
_CHUNK = 512 << 10


def recipe():
    """The generator "runs-v1" that stands beside the golden files."""
    path = env.shared("golden", "stream", "recipe.py")
    spec = importlib.util.spec_from_file_location("mfd_recipe", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ram:
    """One block: NAME in the stream, SIZE bytes, in a file of its own."""

    _made = 0

    def __init__(self, name, size):
        Ram._made += 1
        self.name = name
        self.size = size
        folder = _MEMORY if os.path.isdir(_MEMORY) else env.scratch_root()
        self.path = os.path.join(folder, "mfd-test-%d-%d" % (os.getpid(), Ram._made))
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.ftruncate(self.fd, size)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            os.unlink(self.path)
            self.fd = -1

    def clear(self):
        """All zero again, and no memory used."""
        os.ftruncate(self.fd, 0)
        os.ftruncate(self.fd, self.size)

    def write(self, data):
        assert len(data) == self.size, "%d bytes for %s of %d" % (len(data), self.name, self.size)
        for at in range(0, self.size, _CHUNK):
            os.pwrite(self.fd, data[at:at + _CHUNK], at)

    def fill(self, seed):
        self.write(recipe().fill(seed, self.size // PAGE))

    def poison(self):
        self.write(PATTERN * (self.size // PAGE))

    def untouched(self):
        """True while every page still holds what poison() wrote."""
        piece = PATTERN * (_CHUNK // PAGE)
        return all(data == piece[:len(data)] for _, data in self._pieces())

    def sha256(self):
        digest = hashlib.sha256()
        for _, data in self._pieces():
            digest.update(data)
        return digest.hexdigest()

    def read(self):
        return b"".join(data for _, data in self._pieces())

    def difference(self, other):
        """None if OTHER holds the same bytes, else a sentence with the first page that differs."""
        if self.size != other.size:
            return "%s has %d bytes, %s has %d" % (self.name, self.size, other.name, other.size)
        for (at, mine), (_, theirs) in zip(self._pieces(), other._pieces()):
            if mine != theirs:
                page = next(p for p in range(0, len(mine), PAGE)
                            if mine[p:p + PAGE] != theirs[p:p + PAGE])
                return "block %s differs first in page 0x%x" % (self.name, (at + page) // PAGE)
        return None

    def _pieces(self):
        """Reading instead of mapping: no page faults, and holes stay holes."""
        for at in range(0, self.size, _CHUNK):
            yield at, os.pread(self.fd, _CHUNK, at)


class Borrowed(Ram):
    """Memory that another process made and that PATH names while that process lives."""

    def __init__(self, name, path):
        # Not the constructor of Ram, which makes a file.
        self.name = name
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def difference(blocks, others):
    """The first difference() between two lists of blocks, matched by name, or None."""
    by_name = {block.name: block for block in others}
    for block in blocks:
        text = block.difference(by_name[block.name])
        if text:
            return text
    return None
