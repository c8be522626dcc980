#!/usr/bin/env python3
"""Sums up a run of tests/run: summary.py [--strict] RESULTS_DIR [REQUIRED_SUITE...]

RESULTS_DIR holds steps.tsv (name, "ok" or "failed", seconds: one line for each step) and, for each
build and suite, what `ctest --output-junit` wrote as ctest.BUILD.SUITE.xml. Prints what was skipped
and why, what failed and the end of what each printed, a table, and "N passed, N failed" as the last
line: cases that passed; cases, steps and empty required suites that failed, and with --strict also
the cases that were skipped. The exit status is 0 if nothing failed.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# How much is repeated of what failed: lines of a case, and cases.
SHOWN_LINES, SHOWN_CASES = 40, 5
# Lines of Catch2 that stand around the reason of a skip.
NOISE = ("Filters:", "Randomness seeded", "~~~", "---", "...", "===", "SKIPPED:", "explicitly with message:")


def outcome(case):
    if case.get("status") == "run":
        return PASSED
    return SKIPPED if case.find("skipped") is not None else FAILED


def reason(case, name):
    """The program's own words on why it skipped: the lines that say so, or the last one that says
    anything."""
    lines = [line.strip() for line in (case.findtext("system-out") or "").splitlines()]
    announced = [line for line in lines if line.startswith("skipped: ")]
    if announced:
        return "\n      ".join(announced)
    telling = [
        line
        for line in lines
        if line
        and not line.startswith(NOISE)
        and line not in name
        and not line.startswith(("test cases:", "assertions:"))
    ]
    if telling:
        return telling[-1]
    skipped = case.find("skipped")
    return skipped.get("message", "no reason given") if skipped is not None else "no reason given"


def read_builds(results):
    """Yields (build, suite, title, outcome, text, seconds) for every case. The text is the reason of a
    skip, what a failed case printed, and nothing of one that passed."""
    for path in sorted(results.glob("ctest.*.xml")):
        _, build, suite, _ = path.name.split(".")
        for case in ET.parse(path).getroot().iter("testcase"):
            result = outcome(case)
            text = ""
            if result == SKIPPED:
                text = reason(case, case.get("name", ""))
            elif result == FAILED:
                text = case.findtext("system-out") or ""
            title = f"{suite} ({build}): {case.get('name')}"
            yield build, suite, title, result, text, float(case.get("time", "0"))


def read_steps(results):
    for line in (results / "steps.tsv").read_text().splitlines():
        name, result, seconds = line.split("\t")
        yield name, PASSED if result == "ok" else FAILED, int(seconds)


def listing(title, rows):
    if rows:
        print(f"\n{title}:")
        for row in rows:
            print(f"  {row}")


def show_ends(failed):
    """FAILED: (title, text). The end of each text, which stands thousands of lines above as well."""
    for title, text in failed[:SHOWN_CASES]:
        lines = text.rstrip().splitlines()
        shown = lines[-SHOWN_LINES:]
        print(f"\n-- {title}: the last {len(shown)} of {len(lines)} lines")
        print("\n".join(shown))
    if len(failed) > SHOWN_CASES:
        print(f"\n-- and {len(failed) - SHOWN_CASES} more, in the output above")


def main():
    arguments = sys.argv[1:]
    strict = "--strict" in arguments
    results, *required = [a for a in arguments if a != "--strict"]
    results = pathlib.Path(results)

    cases = list(read_builds(results))
    steps = list(read_steps(results))
    table = {}
    for build, suite, _, result, _, seconds in cases:
        row = table.setdefault((suite, build), {PASSED: 0, FAILED: 0, SKIPPED: 0, "seconds": 0.0})
        row[result] += 1
        row["seconds"] += seconds
    absent = [suite for suite in required if not any(key[0] == suite for key in table)]

    skipped = [f"{title}\n      {why}" for _, _, title, r, why, _ in cases if r == SKIPPED]
    listing("Skipped, which fails this run" if strict else "Skipped", skipped)
    failed_cases = [(title, text) for _, _, title, r, text, _ in cases if r == FAILED]
    show_ends(failed_cases)
    failed = [title for title, _ in failed_cases]
    failed += [f"step: {name}" for name, r, _ in steps if r == FAILED]
    failed += [f"suite {suite}: not one case was run" for suite in absent]
    listing("Failed", failed)

    print(f"\n{'suite':<14}{'build':<8}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for (suite, build), row in sorted(table.items()):
        print(f"{suite:<14}{build:<8}{row[PASSED]:>8}{row[FAILED]:>8}{row[SKIPPED]:>9}{row['seconds']:>9.0f}")
    print(f"\n{'step':<30}{'result':>8}{'seconds':>9}")
    for name, result, seconds in steps:
        print(f"{name:<30}{result:>8}{seconds:>9}")

    passed_count = sum(r == PASSED for *_, r, _, _ in cases)
    failed_count = len(failed) + (len(skipped) if strict else 0)
    note = "" if strict or not skipped else f", {len(skipped)} skipped"
    print(f"\n{passed_count} passed, {failed_count} failed{note}")
    return 1 if failed_count else 0


if __name__ == "__main__":
    sys.exit(main())
