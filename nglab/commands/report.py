"""write one page on runs: curves, a table that sorts and filters, what differs, what they were made with

One HTML file, which needs no network and no other file. Runs that differ in nothing but their seed are one setting,
with their median. Damaged runs are named at the end of it.

examples:
  nglab report outputs/sweeps/rates
  nglab report outputs --where status!=failed --out everything.html
  nglab report outputs/sweeps/rates target=0.05 out=rates.html
"""

from pathlib import Path

from nglab.commands._output import WHERE, say
from nglab.settings.dialect import read

KEYS = {
    "out": "the file; default report.html",
    "where": WHERE,
    "target": "the test loss whose time is told; default 1.1 × the smallest possible",
}


def command(arguments: list[str]) -> None:
    given = read("report", __doc__ or "", arguments, KEYS, "DIR ...", least=1, several=["where"])

    from nglab.reporting.report_page import write_report
    from nglab.reporting.times import target_of
    from nglab.runs.outputs import check_file
    from nglab.runs.selection import runs_with

    out = Path(given.settings.get("out", "report.html"))
    check_file(out)
    target = target_of(given.settings.get("target"))
    damage: list[str] = []
    folders = [Path(folder) for folder in given.positions]
    records = runs_with(folders, given.lists["where"], damage.append)
    for line in damage:
        say(line)
    write_report(records, damage, out, target)
    print(out)
