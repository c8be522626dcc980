"""Plays systemd to one daemon: what it passes at the start, and what it is told afterwards."""

import json
import os
import queue
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from . import env, process
from .qmp import Lost, Qmp

#: Becomes the daemon after it did what systemd does between fork and exec: the process id that the
#: variables name is that of the daemon.
LAUNCHER = r"""
import fcntl, json, os, sys
plan = json.loads(sys.argv[1])
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for fd in plan["fds"]]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
    os.close(fd)
pid = str(os.getpid() + plan["pid_offset"])
if high:
    os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=pid, LISTEN_FDNAMES=plan["names"])
if "WATCHDOG_USEC" in plan["variables"]:
    os.environ["WATCHDOG_PID"] = pid
if plan["stderr_is_journal"]:
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = "%d:%d" % (status.st_dev, status.st_ino)
os.environ.update(plan["variables"])
os.execvp(sys.argv[2], sys.argv[2:])
"""

#: Shows the daemon a /run with nothing in it but the journal's socket of the folder $0.
_OWN_RUN = """mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal &&
    mount --bind "$0" /run/systemd/journal && exec "$@" """


class Inbox:
    """A datagram socket at a path, whose messages are awaited in order. They are taken at once: few
    fit into the kernel's queue, and who finds it full waits."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.seen = []
        self.taken = queue.SimpleQueue()
        self.reader = threading.Thread(target=self._take, daemon=True)
        self.reader.start()

    def _take(self):
        while data := self.socket.recv(1 << 16):
            self.taken.put(data)

    def send(self, data):
        """Puts a message of our own behind all that have arrived; an empty one ends the reading."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(data, self.path)

    def close(self):
        self.send(b"")
        self.reader.join()
        self.socket.close()

    def next(self, accept, what):
        """The next message for which ACCEPT is true; those before it are dropped."""
        end = time.monotonic() + env.DEADLINE_S
        while True:
            try:
                message = self.parse(self.taken.get(timeout=max(0.001, end - time.monotonic())))
            except queue.Empty:
                raise Lost("waited in vain for %s; seen: %s" % (what, self.seen)) from None
            self.seen.append(message)
            if accept(message):
                return message

    def parse(self, data):
        raise NotImplementedError


class Notices(Inbox):
    """NOTIFY_SOCKET: each message is a dict of its lines."""

    def parse(self, data):
        return dict(line.split("=", 1) for line in data.decode().splitlines())

    def having(self, **lines):
        """The next message with all of these lines; a value is a regular expression."""
        return self.next(lambda message: all(re.fullmatch(value, message.get(name, ""))
                                             for name, value in lines.items()), lines)

    def status(self, pattern):
        return self.having(STATUS=pattern)["STATUS"]


class Journal(Inbox):
    """The socket of journald: each entry is a dict of its fields."""

    def parse(self, data):
        fields = {}
        while data:
            line, data = data.split(b"\n", 1)
            name, equals, value = line.partition(b"=")
            if not equals:  # a value with newlines: its length, then the value
                (length,) = struct.unpack_from("<Q", data)
                value, data = data[8:8 + length], data[8 + length + 1:]
            fields[name.decode()] = value.decode()
        return fields

    def message(self, pattern):
        return self.next(lambda entry: re.search(pattern, entry["MESSAGE"]), pattern)


class Service(process.Program):
    """multifdd as a service. `sockets`: names of QMP sockets to pass; `passed`: names and other
    descriptors."""

    def __init__(self, folder, options=(), sockets=(), passed=(), own_socket=True, variables=None,
                 pid_offset=0, journal=False):
        self.notices = Notices(os.path.join(folder, "notify"))
        self.journal = None
        listeners = {name: self._listen(os.path.join(folder, name)) for name in sockets}
        self.listening_at = {name: os.path.join(folder, name) for name in sockets}
        handed = [(name, listener.fileno()) for name, listener in listeners.items()] + list(passed)
        plan = {"fds": [fd for _, fd in handed], "names": ":".join(name for name, _ in handed),
                "variables": {"NOTIFY_SOCKET": self.notices.path, **(variables or {})},
                "pid_offset": pid_offset, "stderr_is_journal": journal}
        argv = [env.daemon()] + list(options)
        if journal:
            os.mkdir(os.path.join(folder, "journal"))
            self.journal = Journal(os.path.join(folder, "journal", "socket"))
            argv = self._own_run(os.path.join(folder, "journal")) + argv
        try:
            super().__init__([sys.executable, "-c", LAUNCHER, json.dumps(plan)] + argv,
                             fds=[fd for _, fd in handed], own_socket=own_socket)
        finally:
            for listener in listeners.values():
                listener.close()

    def connect(self, name=None):
        if name is None:
            return super().connect()
        qmp = Qmp(self.listening_at[name], self.alive)
        self.connections.append(qmp)
        return qmp

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        self.notices.close()
        if self.journal:
            self.journal.close()

    @staticmethod
    def _listen(path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()
        return listener

    @staticmethod
    def _own_run(folder):
        unshare = ["unshare", "--mount"] + ["--map-root-user"] * (os.getuid() != 0)
        command = unshare + ["sh", "-c", _OWN_RUN, folder]
        env.need(shutil.which("unshare"), "no unshare")
        probe = subprocess.run(command + ["true"], capture_output=True, text=True, check=False)
        env.need(probe.returncode == 0, "no mount namespace: " + probe.stderr.strip())
        return command
