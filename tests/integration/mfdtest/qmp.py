"""A QMP client: negotiates on connect, passes descriptors, keeps events in the order they came."""

import array
import json
import select
import socket
import time

from . import env

#: Pause between two looks at something that sends no notice, such as a socket path appearing.
POLL_S = 0.005


class QmpError(Exception):
    """An error reply."""

    def __init__(self, command, error):
        super().__init__("%s: %s: %s" % (command, error.get("class"), error.get("desc")))
        self.error_class = error.get("class")
        self.desc = error.get("desc", "")


class Lost(Exception):
    """The other side closed the connection or does not answer."""


class Qmp:
    def __init__(self, path, alive=lambda: True):
        self._negotiate(_connect(path, alive))

    @classmethod
    def over(cls, sock):
        """A client on a socket that is connected."""
        self = cls.__new__(cls)
        self._negotiate(sock)
        return self

    def _negotiate(self, sock):
        self.sock = sock
        self.buffer = b""
        self.replies = []
        self.events = []
        self.greeting = self._next(self.replies, env.DEADLINE_S, "greeting")
        self.call("qmp_capabilities")

    def close(self):
        self.sock.close()

    def call(self, command, arguments=None, fds=(), timeout=None):
        """Sends one command and gives back what it returns; raises QmpError for an error reply."""
        self.send(command, arguments, fds)
        return self.reply(command, timeout)

    def send(self, command, arguments=None, fds=()):
        message = {"execute": command}
        if arguments is not None:
            message["arguments"] = arguments
        data = json.dumps(message).encode() + b"\r\n"
        control = []
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        try:
            sent = self.sock.sendmsg([data], control)
            if sent < len(data):  # even an empty send fails once the other side has closed
                self.sock.sendall(data[sent:])
        except OSError as error:
            raise Lost("connection lost while sending %s: %s" % (command, error)) from error

    def reply(self, command, timeout=None):
        message = self._next(self.replies, timeout or env.DEADLINE_S, "reply to " + command)
        while "QMP" in message:  # a QEMU that is still starting may greet twice
            message = self._next(self.replies, timeout or env.DEADLINE_S, "reply to " + command)
        if "error" in message:
            raise QmpError(command, message["error"])
        return message["return"]

    def event(self, accept, timeout=None):
        """The next event for which ACCEPT is true; those before it are dropped."""
        end = time.monotonic() + (timeout or env.DEADLINE_S)
        while True:
            event = self._next(self.events, end - time.monotonic(), "event")
            if accept(event):
                return event

    def closed(self, timeout=None):
        """Waits until the other side closes the connection."""
        end = time.monotonic() + (timeout or env.DEADLINE_S)
        try:
            while True:
                self._read(end)
        except Lost as lost:
            return "closed" in str(lost)

    def _next(self, queue, timeout, what):
        end = time.monotonic() + timeout
        while not queue:
            try:
                self._read(end)
            except Lost as lost:
                raise Lost("no %s: %s" % (what, lost)) from lost
        return queue.pop(0)

    def _read(self, end):
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.sock], [], [], left)[0]:
            raise Lost("nothing came in time")
        try:
            data = self.sock.recv(1 << 16)
        except OSError as error:
            raise Lost("connection closed (%s)" % error) from error
        if not data:
            raise Lost("connection closed")
        self.buffer += data
        while b"\n" in self.buffer:
            line, self.buffer = self.buffer.split(b"\n", 1)
            message = json.loads(line)
            (self.events if "event" in message else self.replies).append(message)


def _connect(path, alive):
    end = time.monotonic() + env.DEADLINE_S
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return sock
        except OSError as error:
            sock.close()
            if not alive() or time.monotonic() > end:
                raise Lost("no connection to %s: %s" % (path, error)) from error
        time.sleep(POLL_S)


def wait_until(condition, what, timeout=None):
    """Polls CONDITION, which gives back something true when it holds."""
    end = time.monotonic() + (timeout or env.DEADLINE_S)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Lost("waited in vain until " + what)
        time.sleep(POLL_S)
