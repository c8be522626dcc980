"""The list of faults: what is in the files *.toml here, and whether it still fits the sources."""

import pathlib
import re
import tomllib
from dataclasses import dataclass

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
FIELDS = {"name", "file", "old", "new", "why", "tests"}


@dataclass(frozen=True)
class Fault:
    component: str  # the file of the list
    name: str
    file: str  # from the top of the tree
    old: str
    new: str
    why: str
    tests: tuple  # regular expressions of ctest, from the start of a case's name


class BadList(Exception):
    pass


def read_all(folder=FOLDER):
    """All faults, those of one source file one behind the other."""
    faults = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["fault"]:
            if set(entry) != FIELDS:
                raise BadList(f"{path.name}: a fault has {sorted(FIELDS)}, not {sorted(entry)}")
            tests = tuple(entry.pop("tests"))
            faults.append(Fault(path.stem, tests=tests, **entry))
    names = [fault.name for fault in faults]
    for name in {name for name in names if names.count(name) > 1}:
        raise BadList(f"two faults are called {name}")
    return sorted(faults, key=lambda fault: (fault.component, fault.file))


def program_of(test):
    """What runs the cases that a regular expression of a fault is about."""
    return test.partition(":")[0]


def misfits(fault, case_names, root=ROOT):
    """Yields what keeps a fault from being seeded and looked for."""
    path = root / fault.file
    times = path.read_text().count(fault.old) if path.is_file() else 0
    if times != 1:
        yield f"its text is {times} times in {fault.file}, not once"
    if fault.old == fault.new:
        yield "it changes nothing"
    if not fault.tests:
        yield "no test is named that should find it"
    for test in fault.tests:
        program = program_of(test)
        # A program that is not built yet has none of its cases listed.
        not_built = f"{program}_NOT_BUILT" in case_names and not any(
            name.startswith(program + ":") for name in case_names)
        if not not_built and not any(re.match(test, name) for name in case_names):
            yield f"no case of ctest is called {test}"
