"""multifdd and QEMU as child processes that listen for QMP.

A program is a context manager: leaving it ends the process, and prints its log if a test failed
meanwhile.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from . import env
from .qmp import Qmp

_LOG_SHOWN = 4000


class Program:
    """One child process; nothing of it is left when the context ends."""

    def __init__(self, argv, fds=(), own_socket=True):
        # The path of a unix socket is short, so it does not live in the scratch folder.
        self.folder = tempfile.mkdtemp(prefix="mfd-", dir="/tmp")
        self.socket_path = os.path.join(self.folder, "qmp")
        self.argv = list(argv)
        if own_socket:
            self.argv += ["-qmp", "unix:%s,server=on,wait=off" % self.socket_path]
        self.log_path = os.path.join(self.folder, "log")
        self.connections = []
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, pass_fds=fds)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._end()
        if kind and not issubclass(kind, unittest.SkipTest):
            env.warn(self.describe())
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self):
        qmp = Qmp(self.socket_path, self.alive)
        self.connections.append(qmp)
        return qmp

    def alive(self):
        return self.process.poll() is None

    def wait(self):
        """Exit status; negative for a signal."""
        return self.process.wait(env.DEADLINE_S)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def log(self):
        with open(self.log_path, "rb") as file:
            return file.read().decode("utf-8", "replace")

    def describe(self):
        text = self.log()
        if len(text) > _LOG_SHOWN:
            text = "[...]" + text[-_LOG_SHOWN:]
        return "---- %s\n---- ended with %s, its log:\n%s----" % (
            " ".join(self.argv), self.process.returncode, text)

    def _end(self):
        for qmp in self.connections:
            qmp.close()
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


def _backend(block, number):
    """An object for BLOCK; a block name that is no identifier goes into x-ramblock."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]*", block.name)
    name = block.name if plain else "block%d" % number
    text = "memory-backend-file,id=%s,size=%d,mem-path=%s,share=on" % (name, block.size, block.path)
    return text if plain else text + ",x-ramblock=" + block.name


def multifdd(blocks, machine="none", incoming=None, extra=(), fds=(), paused=True):
    argv = [env.daemon(), "-machine", machine] + ["-S"] * paused
    for number, block in enumerate(blocks):
        argv += ["-object", _backend(block, number)]
    if incoming:
        argv += ["-incoming", incoming]
    return Program(argv + list(extra), fds)


def _qemu(machine_options, incoming, extra, fds, paused=True):
    argv = [env.qemu(), "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg"]
    argv += ["-S"] * paused + machine_options
    if incoming:
        argv += ["-incoming", incoming]
    return Program(argv + list(extra), fds)


def qemu_none(blocks, incoming=None, extra=(), fds=(), paused=True):
    """A machine with nothing but one block of RAM."""
    (block,) = blocks
    return _qemu(["-machine", "none,memory-backend=" + block.name, "-object", _backend(block, 0)],
                 incoming, extra, fds, paused)


PC_MACHINE = "pc-i440fx-10.0"


def qemu_pc(blocks, incoming=None, extra=(), fds=()):
    """A PC whose RAM is two NUMA nodes and a memory module, each a block of its own.

    Machine "none" has room for a single block. A PC takes a stream that lists only these three.
    """
    first, second, module = blocks
    options = ["-machine", PC_MACHINE, "-smp", "2",
               "-m", "size=%dB,slots=2,maxmem=1G" % (first.size + second.size)]
    for number, block in enumerate(blocks):
        options += ["-object", _backend(block, number)]
    options += ["-numa", "node,nodeid=0,cpus=0,memdev=" + first.name,
                "-numa", "node,nodeid=1,cpus=1,memdev=" + second.name,
                "-device", "pc-dimm,id=module0,memdev=" + module.name]
    return _qemu(options, incoming, extra, fds)


def subject(blocks, machine="none", incoming=None, **options):
    """The program under test: multifdd, or QEMU where the tests themselves are being checked."""
    if env.subject() != "qemu":
        return multifdd(blocks, machine, incoming, **options)
    return (qemu_none if machine == "none" else qemu_pc)(blocks, incoming, **options)


def qemu_sample(sample, firmware, blocks, incoming="defer"):
    """The QEMU that wrote SAMPLE, with BLOCKS and FIRMWARE in place of the files it used then.

    The machine type is the versioned one that stands in the file, so that a newer QEMU builds the
    same devices. It does not run: that would change RAM.
    """
    files = {os.path.join("$DIR", block.name.rsplit("/", 1)[-1] + ".ram"): block.path
             for block in blocks}
    argv = [env.qemu()]
    previous = ""
    for word in sample.info["command_line"][1:]:
        if previous == "-machine":
            word = ",".join([sample.machine] + word.split(",")[1:])
        elif previous == "-bios":
            word = firmware
        for name, path in files.items():
            word = word.replace(name, path)
        argv.append(word)
        previous = word
    if "-S" not in argv:
        argv.append("-S")
    return Program(argv + ["-incoming", incoming])
