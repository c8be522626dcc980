"""Plays a service manager with a descriptor store: the daemon's guest goes through it from one
process to the next."""

import array
import ctypes
import fcntl
import json
import os
import signal
import socket
import sys
import threading

from . import env, manager, process
from .qmp import wait_until

_SYS_KCMP = 312
_libc = ctypes.CDLL(None, use_errno=True)


def same_description(one, other):
    return _libc.syscall(_SYS_KCMP, os.getpid(), os.getpid(), 0, one, other) == 0


def seal(fd):
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
                | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)


class Store:
    """NOTIFY_SOCKET and what was put into the store. It takes one descriptor per open file
    description, and no more than CAPACITY, as systemd does."""

    def __init__(self, folder, capacity=512):
        self.capacity = capacity
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lock = threading.Lock()
        self.held = []  # (name, descriptor), in the order of coming
        self.pushes = 0
        self.messages = 0
        self.ignore_after = None  # as if the sender had died after so many messages
        self.on_push = lambda name: None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"END=1", self.path)
        self.thread.join()
        self.socket.close()
        self.clear()

    def names(self):
        with self.lock:
            return [name for name, _ in self.held]

    def fd(self, name):
        with self.lock:
            return dict(self.held)[name]

    def put(self, name, fd):
        with self.lock:
            self.held.append((name, os.dup(fd)))

    def drop(self, name):
        with self.lock:
            for kept, fd in self.held:
                if kept == name:
                    os.close(fd)
            self.held = [(kept, fd) for kept, fd in self.held if kept != name]

    def clear(self):
        for name in self.names():
            self.drop(name)

    def settle(self):
        """Returns when what was sent before, be it by a process that is gone, is dealt with."""
        read, write = os.pipe()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as barrier:
            barrier.connect(self.path)
            socket.send_fds(barrier, [b"BARRIER=1"], [write])
        os.close(write)
        os.read(read, 1)
        os.close(read)

    def _serve(self):
        size = socket.CMSG_SPACE(4 * 16)
        while True:
            data, control, _, _ = self.socket.recvmsg(4096, size)
            fds = array.array("i")
            for level, kind, content in control:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    fds.frombytes(content)
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            if "END" in message:
                return
            if self._counts(message):
                self._handle(message, fds)
            for fd in fds:
                os.close(fd)

    def _counts(self, message):
        if "FDNAME" not in message:
            return True
        self.messages += 1
        return self.ignore_after is None or self.messages <= self.ignore_after

    def _handle(self, message, fds):
        if message.get("FDSTORE") == "1":
            assert message["FDPOLL"] == "0"
            self._take(message["FDNAME"], fds)
            self.on_push(message["FDNAME"])
        if message.get("FDSTOREREMOVE") == "1":
            self.drop(message["FDNAME"])

    def _take(self, name, fds):
        with self.lock:
            for fd in fds:
                if len(self.held) >= self.capacity or any(same_description(fd, kept)
                                                          for _, kept in self.held):
                    continue
                self.held.append((name, os.dup(fd)))
                self.pushes += 1


class Daemon(process.Program):
    """One process of the service, with what STORE holds."""

    def __init__(self, store, options):
        with store.lock:
            held = [(name, os.dup(fd)) for name, fd in store.held]
        plan = {"fds": [fd for _, fd in held], "names": ":".join(name for name, _ in held),
                "variables": {"NOTIFY_SOCKET": store.path, "FDSTORE": str(store.capacity)},
                "pid_offset": 0, "stderr_is_journal": False}
        try:
            super().__init__([sys.executable, "-c", manager.LAUNCHER, json.dumps(plan),
                              env.daemon(), *options], fds=plan["fds"])
        finally:
            for _, fd in held:
                os.close(fd)


class Service:
    """A guest that goes from process to process. A context manager."""

    def __init__(self, folder, options, **store_options):
        self.store = Store(folder, **store_options)
        self.options = list(options)
        self.daemon = None
        self.qmp = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *reason):
        if self.daemon:
            self.daemon.__exit__(*reason)
        self.store.close()

    def start(self, connect=True):
        self.daemon = Daemon(self.store, self.options)
        if connect:
            self.qmp = self.daemon.connect()
        return self

    def end(self, how=signal.SIGKILL):
        """Ends the process; what it had sent before is in the store then."""
        self.daemon.process.send_signal(how)
        self.daemon.wait()
        log = self.daemon.log()
        self.daemon.__exit__(None, None, None)
        self.store.settle()
        return log

    def restart(self, how=signal.SIGKILL):
        self.end(how)
        return self.start()

    def refused(self):
        """Starts a process that does not get far; what it says."""
        self.start(connect=False)
        status = self.daemon.wait()
        assert status == 1, "the process ended with %d" % status
        return self.daemon.log()

    def wait_logged(self, text):
        wait_until(lambda: text in self.daemon.log(), "the daemon says: " + text)
