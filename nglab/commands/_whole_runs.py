"""The runs that a command was given: whole ones are shown, of the damaged ones is said what is wrong with them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from nglab.runs.table import RunRecord, find_runs, read_each


def whole_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """The whole runs at or below `paths`; the others are named on stderr with the file and the reason.

    Raises InputError where there is no run, and what is wrong with one that was named itself.
    """
    records, damage = read_each(find_runs(paths))
    for folder, error in damage.items():
        if folder in paths:
            raise error
        print(f"nglab: left out: {error}", file=sys.stderr)
    return records
