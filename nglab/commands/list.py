"""list the runs below a folder, their status and result

examples:
  nglab list
  nglab list outputs/sweeps
"""

from pathlib import Path

from nglab.commands._output import say
from nglab.settings.dialect import read


def command(arguments: list[str]) -> None:
    given = read("list", __doc__ or "", arguments, {}, "DIR")

    from nglab.runs.many import list_runs
    from nglab.runs.table import whole_runs

    root = Path(*given.positions or ["outputs"])
    if not given.positions and not any(root.rglob("metrics.csv")):
        print("no runs yet: `nglab run` leaves its first one below outputs")
        return
    records = whole_runs([root], say)
    if not records:  # each has been named
        return
    table = list_runs(records, root)
    folders = ["folder", *table.pop("folder")]
    for line, folder in zip(table.to_string(index=False).splitlines(), folders, strict=True):
        print(line, folder)
