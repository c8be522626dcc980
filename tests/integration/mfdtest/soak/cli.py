"""The command line of tests/soak."""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import unittest

#: Operations and how often each is drawn.
WEIGHTS = (("saves.save", 20), ("saves.save_live", 10), ("saves.cancel", 14), ("saves.hang", 4),
           ("saves.cut_meanwhile", 4), ("restores.restore_last", 8), ("restores.resave", 3),
           ("restores.require_checksums", 2), ("restores.flip", 5),
           ("restores.cut_while_loading", 4), ("faults.failing_save", 12),
           ("faults.hesitating_save", 8), ("faults.failing_load", 4),
           ("faults.hesitating_load", 3), ("mistakes.wrong_command", 6),
           ("mistakes.bad_client", 6))

_CANNOT_RUN = 4


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="tests/soak", description="Saves, restores, cancels and lets the disk fail at random, "
        "checks RAM after each, and that descriptors, threads, mappings and memory of the daemon "
        "stay the same. Exit status: 0 if all was well, 1 after a finding, 4 if it cannot run here "
        "(it needs root and FUSE). MFD_DEADLINE: seconds until something counts as hanging (120).")
    parser.add_argument("--minutes", type=float, help="how long (default: MFD_SOAK_MINUTES, or 2)",
                        default=float(os.environ.get("MFD_SOAK_MINUTES", "2")))
    parser.add_argument("--multifdd", required=True, metavar="PATH", help="the daemon under test")
    parser.add_argument("--faultfs", required=True, metavar="PATH",
                        help="the file system that fails on command (tests/integration/faultfs)")
    parser.add_argument("--scratch", required=True, metavar="DIR",
                        help="folder for the files, on a file system with O_DIRECT")
    parser.add_argument("--seed", type=int, help="repeats the draws of another run")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="only operations whose name contains NAME (again for more)")
    parser.add_argument("--json", metavar="FILE", help="the result, for programs")
    return parser.parse_args(arguments)


def main():
    options = parse(sys.argv[1:])
    os.environ.setdefault("MFD_DEADLINE", "120")
    os.environ["MFD_DAEMON"] = os.path.abspath(options.multifdd)
    os.environ["MFD_FAULTFS"] = os.path.abspath(options.faultfs)
    # Freed memory that AddressSanitizer holds back, 256 MiB by default, would look like a leak for
    # an hour; a race is to end the daemon at once.
    _add_option("ASAN_OPTIONS", "quarantine_size_mb=8")
    _add_option("TSAN_OPTIONS", "halt_on_error=1")
    from . import run  # reads the environment
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    os.makedirs(options.scratch, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="soak-", dir=options.scratch)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # also then nothing stays mounted
    try:
        _need(scratch)
        status = run.run(options, seed, scratch)
    except unittest.SkipTest as reason:
        print("skipped: the soak cannot run here: %s" % reason, flush=True)
        status = _CANNOT_RUN
    if status != 1:
        shutil.rmtree(scratch, ignore_errors=True)
    return status


def _need(scratch):
    from .. import env
    env.need(os.geteuid() == 0, "it mounts a file system, which takes root")
    env.need(os.path.exists("/dev/fuse"), "no /dev/fuse")
    for variable in ("MFD_DAEMON", "MFD_FAULTFS"):
        env.need(os.access(os.environ[variable], os.X_OK), "no program " + os.environ[variable])
    env.need_direct_io(scratch)


def _add_option(variable, option):
    """In front of what the variable says already, which wins."""
    os.environ[variable] = ":".join(filter(None, (option, os.environ.get(variable))))
