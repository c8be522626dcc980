"""QEMU and multifdd as peers that save and restore the same guest RAM.

Built on the harness that stands beside the golden files: it makes the guest's content, starts QEMU
and speaks to it. multifdd speaks the same protocol, so it only has to be started otherwise.
"""

import contextlib
import importlib.util
import os
import subprocess
import time


def _load_harness(shared):
    path = os.path.join(shared, "bench", "qemu_peer.py")
    if not os.path.exists(path):
        raise SystemExit("against_qemu: there is no %s; name its folder with --shared" % path)
    spec = importlib.util.spec_from_file_location("qemu_peer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Ticks of 10 ms are too coarse for what is measured here.
    module.proc_cpu = lambda pid: (_process_cpu(pid), 0.0)
    return module


def _process_cpu(pid):
    """CPU seconds of all threads of PID, those that have ended included."""
    cpuclock_sched = 2
    return time.clock_gettime(~pid << 3 | cpuclock_sched)


def _make_multifdd(harness):
    class Multifdd(harness.Qemu):
        """One paused multifdd, with its memory mapped as QEMU's with the same arguments."""

        def __init__(self, opt, ram, size, incoming=False, prefault=False):
            # pylint: disable=super-init-not-called
            self.opt = opt
            sock = os.path.join(opt.work_dir, "qmp.sock")
            if os.path.exists(sock):
                os.unlink(sock)
            argv = [opt.multifdd, "-S", "-qmp", "unix:%s,server=on,wait=off" % sock, "-object",
                    "memory-backend-file,id=m0,size=%d,mem-path=%s,share=on,prealloc=%s"
                    % (size, ram.path, "on" if prefault else "off")]
            argv += ["-incoming", "defer"] if incoming else ["-machine", "none"]
            self.err = open(os.path.join(opt.work_dir, "log"), "w+", encoding="utf-8")
            self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.err,
                                         stderr=self.err)
            try:
                self.qmp = harness.Qmp(sock, 120, lambda: self.proc.poll() is None)
                self.pid = self.qmp.peer_pid
                self.qmp.cmd("query-status")
            except Exception:
                self.kill()
                raise

    return Multifdd


def _value(text):
    if text in ("on", "off"):
        return text == "on"
    return int(text) if text.isdigit() else text


class Peers:
    """Both programs, and the one migration file they write in turn."""

    def __init__(self, opt):
        self.harness = _load_harness(opt.shared)
        self.size = self.harness.parse_size(opt.size)
        self.programs = {"QEMU": self.harness.Qemu, "multifdd": _make_multifdd(self.harness)}
        self.parameters = {name: _value(value)
                           for name, value in (word.split("=", 1) for word in opt.set)}
        self.work = os.path.join(opt.dir, "against-qemu-%d" % os.getpid())
        os.makedirs(self.work)
        self.inner = self.harness.options(["--work-dir", self.work, "--qemu", opt.qemu,
             # As little beside the RAM as possible; multifdd has nothing else either.
             "--qemu-args=-machine none",
             # In a virtual machine the first use of memory given back to the host is slow.
             "--pretouch", str(self.size + self.size // 4)])
        self.inner.multifdd = os.path.abspath(opt.multifdd)
        self.file = os.path.join(self.work, "file.mig")

    def close(self):
        for name in os.listdir(self.work):
            os.unlink(os.path.join(self.work, name))
        os.rmdir(self.work)

    @contextlib.contextmanager
    def guest(self, mix, zero_pages):
        """Guest RAM with that content."""
        ram = Ram(self.harness, self.size, "src")
        try:
            flags = self.harness.prefill(ram.fd, self.size, mix, 1, zero_pages)
            ram.data_bytes = sum(flags) * self.harness.PAGE
            yield ram
        finally:
            ram.close()

    def new_file(self):
        if os.path.exists(self.file):
            os.unlink(self.file)
        self.harness.quiet(self.inner)
        return self.file

    def cold_file(self):
        self.harness.make_cold(self.file, self.inner)
        self.harness.quiet(self.inner)
        return self.file

    def file_bytes(self):
        return os.stat(self.file).st_blocks * 512

    def save(self, config, ram, prefault):
        self.new_file()
        program = self._start(config, ram, prefault=prefault)
        try:
            self.harness.quiet(self.inner)
            record, _ = program.migrate("migrate", "file:" + self.file, 600, self.file)
        finally:
            program.quit()
        record["file_bytes"] = self.file_bytes()
        return record

    def restore(self, config, source, cache):
        target = Ram(self.harness, self.size, "dst")
        program = self._start(config, target, incoming=True)
        try:
            if cache == "cold":
                self.harness.make_cold(self.file, self.inner)
            else:
                self.harness.make_warm(self.file)
            self.harness.quiet(self.inner)
            record, _ = program.migrate("migrate-incoming", "file:" + self.file, 600)
            record["guest_bytes_allocated"] = target.allocated()
            if self.harness.same_content(source.fd, target.fd, self.size) is not None:
                raise SystemExit("against_qemu: %s restored something else" % config)
        finally:
            program.quit()
            target.close()
        return record

    def _start(self, config, ram, **how):
        program = self.programs[config.peer](self.inner, ram, self.size, **how)
        try:
            program.setup(config.channels, config.direct)
            if config.peer == "multifdd":
                program.qmp.cmd("migrate-set-parameters", x_sync=config.sync, **self.parameters)
        except Exception:
            program.quit()
            raise
        return program


class Ram:
    """Guest RAM in a memfd that both programs can open."""

    def __init__(self, harness, size, tag):
        self._ram = harness.Ram("memfd", size, "/dev/shm", tag)
        self.fd, self.path = self._ram.fd, self._ram.path
        self.data_bytes = 0

    def reset(self):
        """Never touched again."""
        self._ram.reset()

    def allocated(self):
        return os.fstat(self.fd).st_blocks * 512

    def close(self):
        self._ram.close()
