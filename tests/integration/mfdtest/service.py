"""The package as it is installed in a container, and instances of its service there."""

import glob
import hashlib
import json
import os
import re
import subprocess

from . import env
from .qmp import Qmp, wait_until
from .ram import Borrowed

_ENV = "/etc/multifdd/%s.env"


def build_package(folder):
    """The Debian package of the build under test."""
    subprocess.run(["cpack", "-G", "DEB", "-B", folder], check=True, capture_output=True,
                   cwd=os.path.dirname(os.path.abspath(env.daemon())))
    (package,) = glob.glob(os.path.join(folder, "*.deb"))
    return package


def _field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], capture_output=True, text=True,
                          check=True).stdout.strip()


def dependencies(package):
    return [re.split(r"[ :(|]", one.strip())[0] for one in _field(package, "Depends").split(",")]


def upgrade_of(package, folder):
    """The same once more, as a later version."""
    tree = os.path.join(folder, "upgrade")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control, encoding="utf-8") as file:
        text = re.sub(r"(?m)^(Version: .*)$", r"\1+later", file.read())
    with open(control, "w", encoding="utf-8") as file:
        file.write(text)
    later = os.path.join(folder, "later.deb")
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "-b", tree, later], check=True,
                   capture_output=True)
    return later


class Instance:
    """multifdd@NAME of a container, with what shall stand in its environment file."""

    def __init__(self, container, name, options=None, drop_in=""):
        self.container = container
        self.name = name
        self.unit = "multifdd@%s.service" % name
        self.socket = "/run/multifdd/%s.qmp" % name
        if options is not None:
            self.configure('MULTIFDD_OPTIONS="%s"\n' % options)
        if drop_in:
            container.write("/run/systemd/system/%s.d/test.conf" % self.unit, drop_in)
            container.run("systemctl", "daemon-reload")

    def configure(self, text):
        self.container.write(_ENV % self.name, text)

    def systemctl(self, verb):
        self.container.run("systemctl", verb, self.unit)

    def start(self):
        self.systemctl("start")
        return self

    def show(self, name):
        return self.container.run("systemctl", "show", "--value", "-p", name,
                                  self.unit).stdout.strip()

    def pid(self):
        """The main process, by its number in the container; 0 if there is none."""
        return int(self.show("MainPID"))

    def wait_for_another(self, pid):
        """Waits until a process other than PID serves."""
        return wait_until(lambda: self.show("ActiveState") == "active" and self.pid() != pid
                          and self.pid(), self.unit + " runs again")

    def connect(self):
        return Qmp.over(self.container.connect(self.socket))

    def memory(self, size):
        """The guest RAM of SIZE bytes, from outside."""
        folder = self.container.path("/proc/%d/fd" % self.pid())
        for number in os.listdir(folder):
            path = os.path.join(folder, number)
            if "memfd:" in os.readlink(path) and os.stat(path).st_size == size:
                return Borrowed(self.name, path)
        raise AssertionError("%s has no memory of %d bytes" % (self.unit, size))

    def sha256(self, size):
        memory = self.memory(size)
        try:
            return memory.sha256()
        finally:
            memory.close()

    def journal(self):
        """What its processes logged: entries with all fields."""
        said = self.container.run("journalctl", "--output=json", "--unit=" + self.unit).stdout
        return [json.loads(line) for line in said.splitlines()]

    def logged(self, **fields):
        """The first entry whose fields match these expressions, waited for."""
        def first():
            return next((entry for entry in self.journal()
                         if all(re.search(wanted, str(entry.get(name, "")))
                                for name, wanted in fields.items())), None)
        return wait_until(first, "the journal of %s has %s" % (self.unit, fields))


def known_content(memory):
    """Fills MEMORY with pages that differ; the checksum of the whole."""
    unit = 1 << 20
    base = hashlib.shake_256(b"guest").digest(2 * unit)
    digest = hashlib.sha256()
    for at in range(0, memory.size, unit):
        start = (at // unit * 4099) % unit
        piece = base[start:start + unit]
        os.pwrite(memory.fd, piece, at)
        digest.update(piece)
    return digest.hexdigest()
