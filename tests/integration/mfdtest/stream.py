"""An independent reader of mapped-ram files: just enough to find every part by its offset.

It trusts the file; it is used on files that some program has accepted.
"""

import hashlib
import struct
from dataclasses import dataclass

PAGE = 4096


@dataclass
class Block:
    name: str
    entry_offset: int
    used_length: int
    header_offset: int
    bitmap_offset: int
    bitmap_bytes: int
    pages_offset: int

    @property
    def end(self):
        return self.pages_offset + self.used_length


@dataclass
class Stream:
    machine: str
    ram_offset: int      # the section START of "ram"
    ram_end: int         # behind its footer
    blocks: list


def read(path, start=0):
    with open(path, "rb") as file:
        take = _Reader(file, start)
        assert take.bytes(8) == b"QEVM\0\0\0\3", "no stream at 0x%x of %s" % (start, path)
        assert take.bytes(1) == b"\x07", "no configuration section"
        machine = take.bytes(take.number(4)).decode()
        while take.peek(1) == b"\x05":
            take.subsection()
        ram_offset = take.at
        assert take.bytes(1) == b"\x01", "no section START behind the configuration"
        section_id = take.number(4)
        assert take.text() == "ram", "the first section is not ram"
        take.bytes(8)
        left = take.number(8) & ~(PAGE - 1)
        blocks = []
        while left > 0:
            blocks.append(take.block())
            left -= blocks[-1].used_length
        assert left == 0, "the blocks do not add up to the total"
        assert take.number(8) == 0x10, "no EOS behind the last block"
        assert take.bytes(1) == b"\x7e" and take.number(4) == section_id, "bad footer of ram"
        return Stream(machine, ram_offset, take.at, blocks)


def pages_offset(header_offset, used_length):
    """Where the format puts the pages of a block whose mapped-ram header stands there."""
    bitmap_end = header_offset + 28 + (used_length // PAGE + 63) // 64 * 8
    return -(-bitmap_end // (1 << 20)) * (1 << 20)


def end(path, stream):
    """The offset behind a stream of machine "none", whose only device is the run state."""
    with open(path, "rb") as file:
        take = _Reader(file, stream.ram_end)
        while True:
            kind = take.number(1)
            if kind == 0:
                break
            if kind == 8:
                take.bytes(2)
                take.bytes(take.number(2))
                continue
            section = take.number(4)
            if kind == 4:
                assert take.text() == "globalstate", "a device that machine none has not"
                take.bytes(8 + 104)
            else:
                assert kind in (2, 3), "no section begins with 0x%02x" % kind
                take.bytes(8)
            assert take.bytes(1) == b"\x7e" and take.number(4) == section, "bad footer"
        assert take.bytes(1) == b"\x06", "no vmdescription"
        take.bytes(take.number(4))
        return take.at


def end_with_checksums(path, stream):
    """Where a file of machine "none" ends that carries checksums of all pages."""
    at = _round_up(_round_up(end(path, stream)) + 88 + 32 * len(stream.blocks))
    return at + sum(_round_up(block.used_length // PAGE * 4) for block in stream.blocks)


def _round_up(at):
    return -(-at // PAGE) * PAGE


class _Reader:
    def __init__(self, file, at):
        self.file = file
        self.at = at

    def peek(self, count):
        self.file.seek(self.at)
        data = self.file.read(count)
        assert len(data) == count, "the file ends at 0x%x" % (self.at + len(data))
        return data

    def bytes(self, count):
        data = self.peek(count)
        self.at += count
        return data

    def number(self, count):
        return int.from_bytes(self.bytes(count), "big")

    def text(self):
        return self.bytes(self.number(1)).decode()

    def subsection(self):
        self.bytes(1)
        name = self.text()
        self.bytes(4)
        if name == "configuration/capabilities":
            for _ in range(self.number(4)):
                self.text()
        elif name == "configuration/uuid":
            self.bytes(16)
        else:
            raise AssertionError("subsection %s has no known length" % name)

    def block(self):
        entry = self.at
        name, used = self.text(), self.number(8)
        header = self.at
        version, page, bitmap, pages = struct.unpack(">IQQQ", self.bytes(28))
        assert (version, page) == (1, PAGE), "mapped-ram header of %s" % name
        self.at = pages + used
        return Block(name, entry, used, header, bitmap, (used // PAGE + 63) // 64 * 8, pages)


def compare(path, other, begin, end):
    """The offset of the first byte in [BEGIN, END) in which two files differ, or None."""
    with open(path, "rb") as first, open(other, "rb") as second:
        at = begin
        while at < end:
            first.seek(at)
            second.seek(at)
            count = min(1 << 20, end - at)
            mine, theirs = first.read(count), second.read(count)
            if mine != theirs:
                shorter = min(len(mine), len(theirs))
                return next((at + i for i in range(shorter) if mine[i] != theirs[i]), at + shorter)
            at += count
    return None


def ram_sha256(path, block):
    """Digest of a block as a load would leave it: the slot where the bit is set, zero elsewhere."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(block.bitmap_offset)
        bitmap = file.read(block.bitmap_bytes)
        for page in range(block.used_length // PAGE):
            if bitmap[page // 8] >> page % 8 & 1:
                file.seek(block.pages_offset + page * PAGE)
                digest.update(file.read(PAGE))
            else:
                digest.update(bytes(PAGE))
    return digest.hexdigest()


def locate(stream, offset):
    """What the byte at OFFSET belongs to, for a message."""
    for block in stream.blocks:
        if block.entry_offset <= offset < block.header_offset:
            return "entry of block %s" % block.name
        if block.header_offset <= offset < block.bitmap_offset:
            return "mapped-ram header of block %s" % block.name
        if block.bitmap_offset <= offset < block.bitmap_offset + block.bitmap_bytes:
            return "bitmap of block %s" % block.name
        if offset < block.pages_offset:
            return "padding before the pages of block %s" % block.name
        if offset < block.end:
            return "page %d of block %s" % ((offset - block.pages_offset) // PAGE, block.name)
    return "outside of the blocks"
