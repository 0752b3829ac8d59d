"""Runs that are done, as other programs are given them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nglab.errors import InputError
from nglab.runs.many import common_root, flatten
from nglab.runs.selection import text
from nglab.runs.status import DONE
from nglab.runs.table import RunRecord


@dataclass(frozen=True)
class Exported:
    """A run and the name that it has elsewhere: its folder, below that of all of them."""

    name: str
    record: RunRecord

    @property
    def rows(self) -> Iterator[dict[str, float]]:
        """The rows of `metrics.csv`; a number that one does not have is left out of it."""
        columns = self.record.columns
        for row in zip(*columns.values(), strict=True):
            pairs = zip(columns, row, strict=True)
            yield {name: value for name, value in pairs if not math.isnan(value)}

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration by dotted keys, without the names of classes: numbers, booleans and text."""
        flat = {k: v for k, v in flatten(self.record.settings).items() if "_target_" not in k}
        return {k: v if isinstance(v, int | float) else text(v) for k, v in flat.items()}

    @property
    def results(self) -> dict[str, float]:
        """The numbers of the summary, by dotted keys."""
        flat = flatten(self.record.summary)
        return {k: v for k, v in flat.items() if isinstance(v, int | float) and k != "seed"}


def those_done(records: Sequence[RunRecord], say: Callable[[str], object]) -> list[Exported]:
    """The runs that are finished or diverged, one or more; what the others are is said."""
    done = [record for record in records if record.summary["status"] in DONE]
    for record in records:
        if record.summary["status"] not in DONE:
            say(f"left out: {record.folder} is {record.summary['status']}")
    if not done:
        raise InputError("no run here is finished or diverged: export once one is")
    root = common_root([record.folder for record in done])
    return [Exported(str(record.folder.relative_to(root)), record) for record in done]
