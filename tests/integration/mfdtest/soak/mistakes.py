"""Commands that are refused, and clients that misbehave: the daemon goes on as if nothing was."""

import json
import os
import socket

from ..migrate import Settings, add_fd
from ..qmp import Qmp, QmpError
from .context import expect

#: Command, arguments, part of the refusal.
COMMANDS = (
    ("migrate", {"uri": "file:/dev/fdset/77"}, "Failed to find fdset /dev/fdset/77"),
    ("migrate", {"uri": "disk:x"}, "unknown migration protocol"),
    ("migrate", {"uri": "tcp:127.0.0.1:1"}, "seekable transport"),
    ("migrate", {"uri": "file:/no/such/folder/x"}, "No such file or directory"),
    ("migrate", {"uri": "file:/tmp/x,offset=0x20M"}, "bad offset"),
    ("migrate", {}, "need either 'uri' or 'channels'"),
    ("migrate-incoming", {"uri": "file:/nowhere"}, "'-incoming' was not specified"),
    ("migrate-set-parameters", {"multifd-channels": 0}, "multifd_channels"),
    ("migrate-set-parameters", {"x-io-engine": "none"}, "x-io-engine"),
    ("migrate-set-parameters", {"x-verify": "perhaps"}, "x-verify"),
    ("migrate-set-capabilities", {"capabilities": [{"capability": "maped-ram", "state": True}]},
     "capability"),
    ("remove-fd", {"fdset-id": 9}, "not found"),
    ("no-such-command", {}, "no-such-command"),
)

BAD_TEXTS = (b"{'execute': \n}}\n", b"{\"execute\": 5}\r\n", b"[1, 2\r\n]]\r\n", b"\xff\xfe\r\n",
             b"{\"execute\": \"query-status\", \"arguments\": []}\r\n")


def wrong_command(soak):
    command, arguments, text = soak.choice.choice(COMMANDS)
    soak.note("%s %s" % (command, json.dumps(arguments)))
    before = soak.digests()
    Settings(2).apply(soak.qmp)  # so that the mistake is the only one
    try:
        soak.qmp.call(command, arguments)
    except QmpError as error:
        expect(text in error.desc, "refused with other words: %s" % error.desc)
    else:
        expect(False, "accepted: %s %s" % (command, arguments))
    expect(soak.digests() == before, "RAM changed by a refused command")
    soak.settle()
    return "refused"


def bad_client(soak):
    """Texts that are no commands, descriptors nobody asked for, a connection closed in the middle."""
    kind = soak.choice.choice(tuple(_BAD_CLIENTS))
    soak.note(kind)
    _BAD_CLIENTS[kind](soak)
    soak.settle()
    return kind


def _visitor(soak):
    return Qmp(soak.visitors, soak.daemon.alive)


def _bad_text(soak):
    visitor = _visitor(soak)
    text = soak.choice.choice(BAD_TEXTS)
    soak.note(text)
    visitor.sock.sendall(text)
    try:
        visitor.reply("a bad text")
    except QmpError:
        visitor.close()
        return
    expect(False, "a text that is no command was accepted")


def _descriptors(soak):
    visitor = _visitor(soak)
    add_fd(visitor, 8, "/dev/null", os.O_WRONLY)
    visitor.send("query-status", fds=[0, 1, 2])
    visitor.reply("query-status")
    visitor.call("remove-fd", {"fdset-id": 8})
    visitor.close()


def _half_a_command(soak):
    visitor = _visitor(soak)
    visitor.sock.sendall(b'{"execute": "query-st')
    visitor.close()


def _gone_at_once(soak):
    """Some that close before they are greeted or answered."""
    for _ in range(5):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
            visitor.connect(soak.visitors)
            visitor.sendall(b'{"execute": "qmp_capabilities"}\r\n')


_BAD_CLIENTS = {"bad text": _bad_text, "descriptors not asked for": _descriptors,
                "half a command": _half_a_command, "gone at once": _gone_at_once}
