"""Test case, table of records and exit status for ctest.

ctest takes exit status 77 as "skipped". With MFD_REQUIRE=1 a skipped test counts as failed, so that
a release cannot pass without the suites it needs.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import traceback
import unittest

from . import env
from .migrate import MigrationFailed
from .qmp import Lost, QmpError
from .ram import Ram

_SKIPPED = 77
_FAILURES_SHOWN = 8


class TestCase(unittest.TestCase):
    """With a scratch folder for migration files and guest RAM that goes away after the test."""

    maxDiff = None
    longMessage = True

    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix=type(self).__name__ + "-", dir=env.scratch_root())
        self.addCleanup(shutil.rmtree, self.scratch, True)

    def path(self, name):
        return os.path.join(self.scratch, name)

    def ram(self, name, size):
        block = Ram(name, size)
        self.addCleanup(block.close)
        return block


class Records:
    """Cases run by one driver. All of them run; the table comes first, then the failures."""

    def __init__(self, *columns):
        self.columns = columns
        self.rows = []
        self.failures = []

    @contextlib.contextmanager
    def record(self, *row):
        """A case; its body may extend ROW, and a failure ends it with what went wrong."""
        row = list(row)
        self.rows.append(row)
        try:
            yield row
        except (AssertionError, Lost, QmpError, MigrationFailed, OSError) as error:
            text = "%s: %s" % (type(error).__name__, str(error).strip())
            row.append("FAILED " + text.splitlines()[0])
            self.failures.append("%s\n%s" % (" | ".join(str(cell) for cell in row),
                                             traceback.format_exc(limit=-4)))

    def table(self):
        return table([self.columns] + self.rows)

    def check(self, test):
        """Prints the table and fails TEST if a case failed."""
        env.note(self.table())
        if self.failures:
            shown = self.failures[:_FAILURES_SHOWN]
            test.fail("%d of %d cases failed; the first %d:\n\n%s" % (
                len(self.failures), len(self.rows), len(shown), "\n".join(shown)))


def table(rows):
    """Lines with the columns padded to the same width; the last column is not."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = {}
    for row in cells:
        for column, cell in enumerate(row[:-1]):
            widths[column] = max(widths.get(column, 0), len(cell))
    return "\n".join(" | ".join([cell.ljust(widths[column]) for column, cell in enumerate(row[:-1])]
                               + row[-1:]) for row in cells)


def main():
    """Runs the tests of the calling file; never returns."""
    result = unittest.main(exit=False, verbosity=2).result
    for test, reason in result.skipped:
        env.note("skipped: %s: %s" % (test, reason))
    if not result.wasSuccessful():
        sys.exit(1)
    if result.skipped and env.required():
        env.warn("skipped tests count as failures here (MFD_REQUIRE=1)")
        sys.exit(1)
    # What ran has passed; but with a part left out it must not look complete.
    sys.exit(_SKIPPED if result.skipped else 0)
