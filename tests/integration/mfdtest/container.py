"""A Debian in which systemd really boots: a container of systemd-nspawn.

Its root is made once for the scratch folder, with what a package needs to be installed without a
network; a container writes to an overlay in memory, so every one begins with the same root. What
the test itself needs is done from outside: files through /proc/PID/root, commands with nsenter.
"""

import contextlib
import functools
import glob
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys

from . import env
from .qmp import wait_until

_CGROUPS = "/sys/fs/cgroup"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: What services may do on a machine, and in a container of systemd 252 only if it is said.
_MORE_SYSTEM_CALLS = ("landlock_create_ruleset landlock_add_rule landlock_restrict_self "
                      "userfaultfd io_uring_setup io_uring_enter io_uring_register")
#: From here on systemd does not boot with the controllers of cgroup v1.
_FIRST_WITHOUT_V1 = 256


_CONNECT = """
import socket, sys
client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
client.connect(sys.argv[1])
socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"x"], [client.fileno()])
"""


def need():
    env.need(os.getuid() == 0, "booting a container needs the superuser")
    for program in ("systemd-nspawn", "mmdebstrap", "nsenter", "unshare", "apt-get"):
        env.need(shutil.which(program), "no " + program)


def _apt(*arguments):
    return subprocess.run(["apt-get", "indextargets", "--format", *arguments,
                           "Created-By: Packages"], capture_output=True, text=True,
                          check=True).stdout


def _sources(codename):
    """Where apt of this machine has the release from, as lines of a sources.list."""
    lines = []
    for line in _apt("$(REPO_URI) $(CODENAME) $(COMPONENT)").splitlines():
        uri, suite, component = line.split()
        if suite in (codename, codename + "-updates", codename + "-security"):
            lines.append("deb %s %s %s" % (uri, suite, component))
    env.need(lines, "apt has no source for " + codename)
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _proxy_options():
    said = subprocess.run(["apt-config", "dump", "Acquire::http", "Acquire::https"],
                          capture_output=True, text=True, check=True).stdout
    return ["--aptopt=" + line.rstrip(";") for line in said.splitlines()
            if "::proxy" in line.lower() and not line.endswith('"";')]


def make_root(codename, packages):
    """The folder of a root with systemd, and PACKAGES in the cache of its apt."""
    names = " ".join(sorted(packages))
    key = hashlib.sha256(("1 %s %s" % (codename, names)).encode()).hexdigest()[:12]
    root = os.path.join(env.scratch_root(), "root-%s-%s" % (codename, key))
    if os.path.isdir(root):
        return root
    for old in glob.glob(os.path.join(env.scratch_root(), "root-*")):
        shutil.rmtree(old)
    made = subprocess.run(
        ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--format=directory",
         "--include=systemd,systemd-sysv,dbus", "--dpkgopt=force-unsafe-io",
         "--skip=cleanup/apt,cleanup/reproducible", *_proxy_options(),
         "--customize-hook=chroot \"$1\" apt-get install -qq --no-install-recommends "
         "--download-only " + names, codename, root + ".new", "-"],
        input=_sources(codename), capture_output=True, text=True, check=False)
    if made.returncode != 0:
        shutil.rmtree(root + ".new", ignore_errors=True)
        raise AssertionError("mmdebstrap failed:\n" + made.stdout + made.stderr)
    os.rename(root + ".new", root)
    return root


@functools.lru_cache(maxsize=None)
def _needs_v2():
    said = subprocess.run(["systemd-nspawn", "--version"], capture_output=True, text=True,
                          check=True).stdout
    return int(said.split()[1]) >= _FIRST_WITHOUT_V1


def _hierarchies():
    """The cgroup hierarchies that a container shall have a branch of its own in."""
    if os.path.exists(os.path.join(_CGROUPS, "cgroup.controllers")):
        return [_CGROUPS]
    names = ["unified"] if _needs_v2() else ["systemd", "unified", "memory"]
    paths = [os.path.join(_CGROUPS, name) for name in names]
    return [path for path in paths if os.path.exists(os.path.join(path, "cgroup.procs"))]


class Container:
    def __init__(self, root, folder, binds):
        """BINDS: pairs of a folder here and its name inside."""
        self.name = "mfd-test-%d" % os.getpid()
        self.log_path = os.path.join(folder, "boot.log")
        self.process = None
        self.branches = []
        self.leader = None
        try:
            self._boot(root, binds)
        except BaseException:
            env.warn(self.log())
            self.stop()
            raise

    def _boot(self, root, binds):
        for hierarchy in _hierarchies():
            if hierarchy == _CGROUPS:
                # Where a manager runs it has done so; where none does, units still have limits.
                with contextlib.suppress(OSError):
                    with open(hierarchy + "/cgroup.subtree_control", "w", encoding="ascii") as file:
                        file.write("+memory")
            branch = os.path.join(hierarchy, self.name)
            os.mkdir(branch)
            self.branches.append(branch)
        enter = "".join("echo $$ >'%s/cgroup.procs' || exit 1\n" % branch
                        for branch in self.branches)
        if _needs_v2() or not self.branches:
            enter += "[ -e %s/cgroup.controllers ] || mount -t cgroup2 none %s || exit 1\n" % (
                _CGROUPS, _CGROUPS)
        command = ["systemd-nspawn", "--boot", "--volatile=overlay", "--register=no",
                   "--keep-unit", "--machine=" + self.name, "--directory=" + root,
                   "--system-call-filter=" + _MORE_SYSTEM_CALLS]
        command += ["--bind=%s:%s" % pair for pair in binds]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", enter + 'exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.leader = wait_until(self._find_leader, "the container boots")
        wait_until(lambda: os.path.exists(self.path("/run/systemd/private")), "systemd runs there")
        wait_until(self._booted, "the container has booted")
        if any(branch.endswith("/memory/" + self.name) for branch in self.branches):
            # nspawn leaves the controllers of cgroup v1 read-only. This one is the container's own.
            self.run("mount", "-o", "remount,bind,rw", _CGROUPS + "/memory")
            self.run("systemctl", "daemon-reexec")

    def _find_leader(self):
        if self.process.poll() is not None:
            raise AssertionError("the container did not boot:\n" + self.log())
        for stat in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(stat, encoding="utf-8", errors="replace") as file:
                    head, _, tail = file.read().rpartition(")")
            except OSError:
                continue  # it has just ended
            if int(tail.split()[1]) == self.process.pid and head.endswith("(systemd"):
                return int(head.split()[0])
        return None

    def _booted(self):
        said = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return said in ("running", "degraded")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def path(self, inside):
        """The name here of a file in the container."""
        return "/proc/%d/root%s" % (self.leader, inside)

    def write(self, inside, text):
        os.makedirs(os.path.dirname(self.path(inside)), exist_ok=True)
        with open(self.path(inside), "w", encoding="utf-8") as file:
            file.write(text)

    def connect(self, inside):
        """A connection to a socket. Made in the container, whose services do not see who connects
        from a process that they cannot see."""
        mine, theirs = socket.socketpair()
        with mine, theirs:
            subprocess.run(
                ["nsenter", "--target", str(self.leader), "--pid", sys.executable, "-c", _CONNECT,
                 self.path(inside), str(theirs.fileno())],
                pass_fds=[theirs.fileno()], check=True)
            _, (fd,), _, _ = socket.recv_fds(mine, 1, 1)
            return socket.socket(fileno=fd)

    def argv(self, command, user=None):
        # Root and folder by name: where the tests run in a chroot, that of its mounts is another.
        enter = ["nsenter", "--target", str(self.leader), "--mount", "--root", "--wd", "--uts",
                 "--ipc", "--pid", "--net", "--cgroup", "--", "env", "-i", "PATH=" + _PATH,
                 "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"]
        if user:
            enter += ["setpriv", "--reuid", user, "--regid", user, "--init-groups"]
        return enter + list(command)

    def run(self, *command, user=None, check=True):
        done = subprocess.run(self.argv(command, user), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            raise AssertionError("%s: status %d\n%s%s" % (
                " ".join(command), done.returncode, done.stdout, done.stderr))
        return done

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            if self.leader:
                # systemd's signal for power off at once.
                os.kill(self.leader, signal.SIGRTMIN + 14)
            else:
                self.process.terminate()
            try:
                self.process.wait(env.DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for branch in self.branches:
            for folder, _, _ in os.walk(branch, topdown=False):
                wait_until(lambda f=folder: _removed(f), folder + " is empty")


def _removed(folder):
    try:
        os.rmdir(folder)
    except OSError:
        return not os.path.exists(folder)
    return True
