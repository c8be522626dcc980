"""A copy of the sources in which faults are seeded, and its build folder."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

from faults import ROOT, program_of

#: Not sources. The copy of the last time is used again, so what is equal keeps its time.
LEFT_OUT = shutil.ignore_patterns(".git", ".cache", "build*", "__pycache__", "*.pyc")
#: A fault may make a case wait for ever: no case named here needs nearly as long, in seconds.
CASE_SECONDS = 120
RUN_SECONDS = 600


class BuildFailed(Exception):
    pass


def case_names(build):
    """All cases of ctest; PROGRAM_NOT_BUILT among them for each program of Catch2, built or not."""
    # Not asked of ctest, which would write over the log of the ctest that calls us.
    text = "".join(path.read_text() for path in (pathlib.Path(build) / "tests").rglob("*.cmake")
                   if path.name.endswith(("CTestTestfile.cmake", "_tests.cmake", "_include.cmake")))
    return {bracketed or plain for _, bracketed, plain
            in re.findall(r"add_test\(\s*(?:\[(=*)\[(.*?)\]\1\]|\"?([^\s\"]+))", text)}


class Tree:
    def __init__(self, scratch, jobs):
        self.source = pathlib.Path(scratch).resolve() / "tree"
        self.build_folder = self.source / "build"
        self.jobs = str(jobs)
        self.environment = {**os.environ, "CCACHE_BASEDIR": str(self.source), "CCACHE_NOHASHDIR": "1"}

    def copy_sources(self, root=ROOT):
        def copy_if_changed(old, new):
            if not os.path.exists(new) or pathlib.Path(old).read_bytes() != pathlib.Path(new).read_bytes():
                shutil.copy(old, new)
        shutil.copytree(root, self.source, symlinks=True, ignore=LEFT_OUT, dirs_exist_ok=True,
                        copy_function=copy_if_changed)

    def configure(self):
        options = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
                   "-DMFD_SHARED_DIR=" + os.environ.get("MFD_SHARED_DIR", str(ROOT.parent / "shared"))]
        if shutil.which("clang++-14"):  # compiles faster than GCC
            options.append("-DCMAKE_CXX_COMPILER=clang++-14")
        if shutil.which("ccache"):
            options.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
        if shutil.which("ld.lld") or shutil.which("lld"):
            options.append("-DCMAKE_EXE_LINKER_FLAGS=-fuse-ld=lld")
        self._run(["cmake", "-G", "Ninja", "-S", str(self.source), "-B", str(self.build_folder), *options])

    def build(self, tests):
        """Builds what the tests need, and nothing else."""
        programs = {program_of(test) for test in tests}
        targets = programs - {"component"} | ({"multifdd", "multifdctl"} if "component" in programs else set())
        self._run(["ninja", "-C", str(self.build_folder), "-j", self.jobs, *sorted(targets)])

    def first_failure(self, tests):
        """Runs the tests until one fails; the name of that, or None."""
        output = self._run(["ctest", "--test-dir", str(self.build_folder), "-R", "^(" + "|".join(tests) + ")",
                            "-j", self.jobs, "--timeout", str(CASE_SECONDS), "--stop-on-failure",
                            "--no-tests=error", "--output-on-failure"], may_fail=True)
        if output is None:
            return "(they did not end)"
        failed = re.search(r"The following tests FAILED:\n\s*\d+ - (.*) \(", output)
        return failed[1] if failed else None

    @contextlib.contextmanager
    def seeded(self, fault):
        """The copy with the fault; as it was afterwards."""
        path = self.source / fault.file
        sound = path.read_text()
        path.write_text(sound.replace(fault.old, fault.new))
        try:
            yield
        finally:
            path.write_text(sound)

    def _run(self, command, may_fail=False):
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              cwd=self.source, env=self.environment, start_new_session=True) as process:
            try:
                output, _ = process.communicate(timeout=RUN_SECONDS if may_fail else None)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if isinstance(error, subprocess.TimeoutExpired):
                    return None
                raise
        if process.returncode != 0 and not may_fail:
            raise BuildFailed(output)
        if may_fail and process.returncode != 0 and "The following tests FAILED:" not in output:
            raise BuildFailed(output)  # ctest itself has failed
        return output
