"""Pixels of a PNG, with Python's own library alone: 8 bits a channel or a palette, not interlaced."""

import struct
import zlib

_CHANNELS = {2: 3, 3: 1, 6: 4}


class Png:
    def __init__(self, data):
        assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
        packed, palette, at = b"", b"", 8
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            body = data[at + 8:at + 8 + size]
            at += 12 + size
            if kind == b"IHDR":
                self.width, self.height, depth, colour, _, _, interlaced = struct.unpack(
                    ">IIBBBBB", body)
                assert not interlaced and (depth == 8 or colour == 3), "a kind that is not read here"
            elif kind == b"PLTE":
                palette = body
            elif kind == b"IDAT":
                packed += body
        rows = self._rows(zlib.decompress(packed), _CHANNELS[colour], depth)
        if colour == 3:
            table = [palette[3 * i:3 * i + 3] for i in range(len(palette) // 3)]
            rows = [b"".join([table[index] for index in self._indexes(row, depth)]) for row in rows]
        elif colour == 6:
            rows = [self._opaque(row) for row in rows]
        #: Three bytes a pixel.
        self.rows = rows

    def pixel(self, x, y):
        return tuple(self.rows[y][3 * x:3 * x + 3])

    def _indexes(self, row, depth):
        if depth == 8:
            return row
        each = 8 // depth
        return [byte >> (8 - depth * (i + 1)) & (1 << depth) - 1
                for byte in row for i in range(each)][:self.width]

    @staticmethod
    def _opaque(row):
        """On white."""
        out = bytearray()
        for at in range(0, len(row), 4):
            alpha = row[at + 3]
            out += bytes((value * alpha + 255 * (255 - alpha)) // 255 for value in row[at:at + 3])
        return bytes(out)

    def _rows(self, data, channels, depth):
        """Without the filters."""
        stride, step = (self.width * channels * depth + 7) // 8, max(1, channels * depth // 8)
        rows, above = [], bytearray(stride)
        for at in range(0, len(data), stride + 1):
            kind, row = data[at], bytearray(data[at + 1:at + 1 + stride])
            for i in range(stride if kind else 0):
                left = row[i - step] if i >= step else 0
                corner = above[i - step] if i >= step else 0
                if kind == 1:
                    guess = left
                elif kind == 2:
                    guess = above[i]
                elif kind == 3:
                    guess = (left + above[i]) // 2
                else:
                    line = left + above[i] - corner
                    guess = min((left, above[i], corner), key=lambda value: abs(line - value))
                row[i] = (row[i] + guess) & 255
            rows.append(bytes(row))
            above = row
        return rows


def read(path):
    with open(path, "rb") as file:
        return Png(file.read())


def mean_difference(one, other):
    """Of the channels, 0 to 255; None for pictures of different sizes."""
    if (one.width, one.height) != (other.width, other.height):
        return None
    total = sum(abs(a - b) for mine, theirs in zip(one.rows, other.rows) if mine != theirs
                for a, b in zip(mine, theirs))
    return total / (3 * one.width * one.height)
