"""The medians as an SVG, drawn by gnuplot."""

import subprocess

from . import plan

_TITLES = {"save": "save", "cold": "restore, cold cache", "warm": "restore, warm cache"}


def write_svg(results, path):
    ops = [op for op in plan.OPERATIONS if any(key[1] == op for key in results.records)]
    text = ["set terminal svg size 900,%d noenhanced" % (360 * len(ops)),
            "set output '%s'" % path.replace("'", "''"),
            "set multiplot layout %d,1" % len(ops),
            "set style data histograms", "set style fill solid 0.8", "set key outside right",
            "set ylabel 'seconds (durable for saves)'", "set yrange [0:*]", "set grid ytics",
            "set datafile missing '?'"]
    for op in ops:
        contents = [c for c in plan.CONTENTS if any(key[:2] == (c, op) for key in results.records)]
        configs = sorted({key[2] for key in results.records if key[1] == op}, key=str)
        text.append("$%s << EOD" % op)
        for content in contents:
            values = [results.seconds(content, op, config, durable=True) for config in configs]
            text.append('"%s" %s' % (content, " ".join("?" if v is None else "%.4f" % v
                                                       for v in values)))
        text.append("EOD")
        text.append("set title '%s'" % _TITLES[op])
        text.append("plot " + ", ".join("$%s using %d:xtic(1) title '%s'"
                                        % (op, number + 2, str(config).replace("'", "''"))
                                        for number, config in enumerate(configs)))
    subprocess.run(["gnuplot"], input="\n".join(text) + "\n", text=True, check=True)
