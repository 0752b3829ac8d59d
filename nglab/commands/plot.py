"""draw the loss curves of runs, labelled by what differs between them

examples:
  nglab plot outputs/runs/2026-11-21_10-59-00-123456
  nglab plot outputs/sweeps/2026-11-21_11-20-00-654321 out=sweep
"""

from pathlib import Path

from nglab.commands._output import say
from nglab.settings.dialect import read

KEYS = {"out": "where the pictures go; default the first DIR"}


def command(arguments: list[str]) -> None:
    given = read("plot", __doc__ or "", arguments, KEYS, "DIR ...", least=1)

    from nglab.figures.comparison import FILES, plot_runs
    from nglab.runs.outputs import check_folder
    from nglab.runs.table import whole_runs

    folders = [Path(folder) for folder in given.positions]
    out = given.folder("out", folders[0])
    check_folder(out, *FILES)
    for file in plot_runs(whole_runs(folders, say), out):
        print(file)
