"""What the tests are told by the build: programs, golden files and where to put large files."""

import functools
import os
import re
import shutil
import subprocess
import sys
import unittest

#: Limit for anything that should take moments; generous, for slow and busy machines.
DEADLINE_S = float(os.environ.get("MFD_DEADLINE", "60"))


def required():
    """True where a test that cannot run counts as a failure."""
    return os.environ.get("MFD_REQUIRE", "") == "1"


def need(ok, reason):
    if not ok:
        raise unittest.SkipTest(reason)


def daemon():
    """The multifdd under test."""
    path = os.environ.get("MFD_DAEMON", "")
    need(path and os.access(path, os.X_OK), "no multifdd: MFD_DAEMON names no program")
    return path


def tool(variable, name):
    """A program beside the daemon: the one that VARIABLE names, or NAME somewhere below the folder
    of the daemon."""
    path = os.environ.get(variable, "")
    if not path:
        for folder, _, files in os.walk(os.path.dirname(os.path.abspath(daemon()))):
            if name in files and os.access(os.path.join(folder, name), os.X_OK):
                path = os.path.join(folder, name)
                break
    need(path, "no %s: %s names no program" % (name, variable))
    return path


def live_bytes():
    """The size of a guest that is saved while it writes."""
    return int(os.environ.get("MFD_LIVE_MIB", "256")) << 20


def subject():
    """"qemu" runs the same tests against QEMU, which shows that the tests themselves are right."""
    return os.environ.get("MFD_SUBJECT", "multifdd")


@functools.lru_cache(maxsize=None)
def qemu():
    """A QEMU of at least 9.1, the first with direct-io."""
    path = shutil.which(os.environ.get("MFD_QEMU", "qemu-system-x86_64"))
    need(path, "no QEMU: qemu-system-x86_64 is not installed")
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"version (\d+)\.(\d+)", said)
    need(number and (int(number[1]), int(number[2])) >= (9, 1),
         "QEMU is too old, 9.1 is needed: " + said.split("\n", 1)[0])
    return path


def shared(*parts):
    """A file of the folder with the golden files."""
    root = os.environ.get("MFD_SHARED_DIR", "")
    path = os.path.join(root, *parts)
    need(root, "no golden files: MFD_SHARED_DIR names no folder")
    need(os.path.exists(path), "no golden files: %s is not there" % path)
    return path


def scratch_root():
    """A folder on a real file system, for migration files."""
    root = os.environ.get("MFD_SCRATCH_DIR", "/var/tmp/mfd-test-%d" % os.getuid())
    os.makedirs(root, exist_ok=True)
    return root


def need_direct_io(folder):
    path = os.path.join(folder, "direct-probe-%d" % os.getpid())
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600))
    except OSError as error:
        raise unittest.SkipTest("no O_DIRECT in %s: %s" % (folder, error)) from error
    finally:
        if os.path.exists(path):
            os.unlink(path)


def note(text):
    print(text, flush=True)


def warn(text):
    print(text, file=sys.stderr, flush=True)
