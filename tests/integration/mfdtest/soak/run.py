"""The loop: one operation after the other, a look at the daemon after each."""

import time
import traceback
import unittest

from . import context, faults, footprint, mistakes, report, restores, saves
from .cli import WEIGHTS

_MODULES = {"saves": saves, "restores": restores, "faults": faults, "mistakes": mistakes}


def run(options, seed, scratch):
    """The exit status."""
    minutes = options.minutes
    report.say("soak: seed %d, %g minutes" % (seed, minutes))
    allowed = footprint.allowance(options.multifdd)
    counts, series = report.Counts(), footprint.Series(minutes * 60, allowed)
    failure = None
    try:
        with context.Soak(scratch, seed) as soak:
            try:
                _loop(soak, options, counts, series)
                soak.operation = "the end"
                soak.begin(0)
                context.end_program(soak.daemon)
            except BaseException as error:
                failure = _sentence(soak.operation, error)
                report.last_words(soak, error)
                raise
    except unittest.SkipTest:
        raise
    except (Exception, KeyboardInterrupt) as error:
        traceback.print_exc()
        failure = failure or _sentence("start and end", error)  # the first one counts
    report.say(counts.table())
    findings = [failure] if failure else []
    if series.samples:
        report.say(report.footprint_table(series))
        report.say("allowed: descriptors and threads as at first; " + str(allowed))
        findings += series.findings()
    if options.json:
        report.write_json(options.json, {
            "seed": seed, "minutes": minutes, "operations": counts.total(), "findings": findings,
            "counts": counts.as_json(), "footprint": series.as_json() if series.samples else {}})
    if findings:
        report.say("files are left in " + scratch)
        report.say("soak: FAILED: %s (seed %d)" % ("; ".join(findings), seed))
        return 1
    report.say("soak: OK (%d operations, %g minutes, seed %d)" % (counts.total(), minutes, seed))
    return 0


def _sentence(operation, error):
    return "%s: %s: %s" % (operation, type(error).__name__, str(error).strip().split("\n")[0])


def _loop(soak, options, counts, series):
    names = [(name, weight) for name, weight in WEIGHTS
             if not options.only or any(part in name for part in options.only)]
    begin = time.monotonic()
    next_note = 60
    number = 0
    while (passed := time.monotonic() - begin) < options.minutes * 60:
        number += 1
        soak.begin(number)
        name = soak.choice.choices([n for n, _ in names], [w for _, w in names])[0]
        soak.operation = "%d, %s" % (number, name)
        module, _, function = name.partition(".")
        outcome = getattr(_MODULES[module], function)(soak)
        soak.check_alive()
        soak.settle()
        soak.sweep()
        counts.add(name.partition(".")[2].replace("_", " "), outcome)
        series.add(footprint.sample(soak.pid, time.monotonic() - begin))
        if passed >= next_note:
            next_note += 60
            last = series.samples[-1]
            report.say("%5.0f s, %d operations: %d descriptors, %d threads, %d mappings, %.1f MiB" % (
                passed, number, last.descriptors, last.threads, last.mappings,
                last.private / footprint.MIB))
