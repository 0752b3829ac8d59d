"""Runs as lines of a terminal, a column each thing that is asked of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nglab.runs.selection import facts, key_of, names, text
from nglab.runs.table import RunRecord

LISTED = (
    "when",
    "arch",
    "optimizer",
    "lr",
    "seed",
    "status",
    "loss",
    "×minimum",
    "steps",
    "seconds",
    "folder",
)
FORMATS = {"test_loss": ".3g", "times_floor": ".3g", "step": ".0f", "train_seconds": ".1f"}


def listing(
    records: Sequence[RunRecord], root: Path, columns: Sequence[str] = LISTED
) -> list[list[str]]:
    """The columns' names, then a row for each run below `root`. InputError where no run has such a column."""
    known = [facts(record, root) for record in records]
    there = names(known)
    keys = [key_of(column, there) for column in columns]
    return [list(columns), *([shown(own, key) for key in keys] for own in known)]


def shown(own: Mapping[str, Any], key: str) -> str:
    value, note = own.get(key), own.get("note")
    if key == "status" and note:
        return f"{value} ({note})"
    if isinstance(value, float):
        return format(value, FORMATS.get(key, ".6g"))
    return text(value)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines, the columns to the right but for the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        left = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  ".join([*left, last]).rstrip()
