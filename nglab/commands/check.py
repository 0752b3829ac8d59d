"""read every run below a folder and say which are whole, unfinished or damaged, and what to do

The exit status is 1 where a run is damaged.

examples:
  nglab check
  nglab check outputs/sweeps outputs/runs
"""

from collections import Counter
from pathlib import Path

from nglab.errors import InputError
from nglab.settings.dialect import read


def command(arguments: list[str]) -> int:
    given = read("check", __doc__ or "", arguments, {}, "DIR ...")

    from nglab.runs.soundness import findings

    counts: Counter[str] = Counter()
    for one in findings(folders(given.positions)):
        counts[one.state] += 1
        print(f"{one.state:11}{one.folder}{': ' if one.what else ''}{one.what}")
    print(", ".join(f"{counts[state]} {state}" for state in ("whole", "unfinished", "damaged")))
    return 1 if counts["damaged"] else 0


def folders(words: list[str]) -> list[Path]:
    paths = [Path(word) for word in words or ["outputs"]]
    for path in paths:
        if not path.is_dir():
            raise InputError(f"{path} is not a folder: give a run's folder, or one that holds runs")
    return paths
