"""The recorded samples and the damaged variants of one of them."""

import json
import os
import subprocess
import shutil

from . import env


class Sample:
    """One sample of the manifest; `info` is its entry there."""

    def __init__(self, info):
        self.info = info
        self.name = info["name"]

    @property
    def complete(self):
        return self.info["complete"]

    @property
    def machine(self):
        return self.info["configuration"]["machine"]

    @property
    def offset(self):
        return self.info["stream_offset"]

    @property
    def blocks(self):
        return self.info["blocks"]

    def unpack(self, folder):
        """Writes the migration file into FOLDER, with holes where nothing was stored."""
        zstd = shutil.which("zstd")
        env.need(zstd, "no zstd: the golden files cannot be unpacked")
        target = os.path.join(folder, self.name + ".mig")
        packed = env.shared("golden", "stream", self.info["file"])
        subprocess.run([zstd, "-q", "-d", "-f", "--sparse", packed, "-o", target], check=True)
        return target


def samples():
    with open(env.shared("golden", "stream", "manifest.json"), encoding="utf-8") as file:
        return [Sample(info) for info in json.load(file)["samples"]]


def sample(name):
    return next(s for s in samples() if s.name == name)


class Corruption:
    """One damaged variant of the base sample."""

    def __init__(self, case):
        self.name = case["name"]
        self.patch = [(at, bytes.fromhex(text)) for at, text in case["patch"]]
        self.truncate = case["truncate"]
        self.qemu = case["qemu_10_0"]

    def verdict(self, mode):
        """What QEMU did when it loaded the file in MODE ("single" or "multifd2")."""
        return self.qemu.get("both") or self.qemu[mode]

    def apply(self, source, target):
        """Makes TARGET the damaged copy of SOURCE; holes stay holes."""
        subprocess.run(["cp", "--sparse=always", source, target], check=True)
        with open(target, "r+b") as file:
            for at, data in self.patch:
                file.seek(at)
                file.write(data)
            if self.truncate is not None:
                file.truncate(self.truncate)


def corruptions():
    """The sample that was damaged, and the list of cases."""
    with open(env.shared("golden", "stream", "corruptions.json"), encoding="utf-8") as file:
        content = json.load(file)
    return sample(content["base_sample"]), [Corruption(case) for case in content["cases"]]
