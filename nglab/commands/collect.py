"""gather runs into one CSV: a row per run, what was configured, what came out

examples:
  nglab collect outputs/sweeps > runs.csv
  nglab collect outputs/runs outputs/sweeps out=runs.csv
"""

import sys
from contextlib import nullcontext
from pathlib import Path

from nglab.commands._output import say
from nglab.settings.dialect import read

KEYS = {"out": "the CSV; default the terminal"}


def command(arguments: list[str]) -> None:
    given = read("collect", __doc__ or "", arguments, KEYS, "DIR ...", least=1)

    from nglab.runs.many import collect
    from nglab.runs.outputs import check_file, writing
    from nglab.runs.table import whole_runs

    out = Path(given.settings["out"]) if "out" in given.settings else None
    if out:
        check_file(out)
    table = collect(whole_runs([Path(folder) for folder in given.positions], say))
    with writing(out) if out else nullcontext(sys.stdout) as file:
        table.to_csv(file, index=False)
