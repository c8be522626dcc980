"""Programs for which the kernel refuses some system calls, without root: a filter (seccomp) that
stands before the program begins. It is there in its children too."""

import ctypes
import errno
import os
import platform
import struct

from . import env

# asm/unistd.h
_NUMBERS = {
    "x86_64": {"pread64": 17, "pwrite64": 18, "socket": 41, "connect": 42, "fdatasync": 75,
               "ftruncate": 77, "getdents64": 217, "epoll_create1": 291, "eventfd2": 290,
               "signalfd4": 289, "openat": 257, "fallocate": 285, "memfd_create": 319, "write": 1},
    "aarch64": {"pread64": 67, "pwrite64": 68, "socket": 198, "connect": 203, "fdatasync": 83,
                "ftruncate": 46, "getdents64": 61, "epoll_create1": 20, "eventfd2": 19,
                "signalfd4": 74, "openat": 56, "fallocate": 47, "memfd_create": 279, "write": 64},
}

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
# linux/bpf_common.h: load a word, jump if equal / greater or equal / any bit, return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7fff0000, 0x00050000
_ARGUMENTS_AT = 16  # in struct seccomp_data; eight bytes each

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


class Refused:
    """One call that fails with ERROR; only where its arguments, by number, are at least AT_LEAST and
    have one of the bits ANY_BIT."""

    def __init__(self, call, error, at_least=None, any_bit=None):
        self.call, self.error = call, error
        self.conditions = ([(_AT_LEAST, *one) for one in (at_least or {}).items()] +
                           [(_ANY_BIT, *one) for one in (any_bit or {}).items()])

    def instructions(self, number):
        """What follows them is for another call, or for this one with other arguments."""
        left = 2 * len(self.conditions) + 1
        steps = [(_LOAD, 0, 0, 0), (_EQUAL, 0, left, number)]
        for jump, argument, value in self.conditions:
            left -= 2
            steps += [(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument), (jump, 0, left, value)]
        return steps + [(_RETURN, 0, 0, _ERRNO | self.error)]


#: O_DIRECT, as where a file system has none.
NO_DIRECT_IO = Refused("openat", errno.EINVAL, any_bit={2: os.O_DIRECT})


def refusing(*refused):
    """For subprocess's preexec_fn."""
    numbers = _NUMBERS.get(platform.machine())
    env.need(numbers, "system calls have numbers that are not known here: " + platform.machine())
    steps = [step for one in refused for step in one.instructions(numbers[one.call])]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps + [(_RETURN, 0, 0, _ALLOW)])
    program = _Program(len(code) // 8, code)

    def install():
        if (_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                or _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) != 0):
            raise OSError(ctypes.get_errno(), "no filter for system calls")
    return install
