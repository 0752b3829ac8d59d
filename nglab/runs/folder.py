"""What a run leaves in its folder, how it is written and how it is read back."""

import csv
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from nglab.runs.status import PICTURE

log = logging.getLogger(__name__)

DIVERGED_AT = 3.0
"""A run has diverged when its test loss ends above this many times its start, or is not finite."""

FLOOR_FACTOR = 1.1
"""A run is at the floor when its test loss is at most this many times the smallest possible loss."""


class RecordWriter:
    """One run's record as it grows: `metrics.csv` row by row, then `summary.json`.

    A row is on disk when `write` returns; everything else is written whole or not at all, so that a kill at any moment
    leaves a folder that can be read.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], columns: Iterable[str]) -> None:
        """`columns` are those of `metrics.csv`, in order."""
        self.folder, self.facts, self.columns = folder, facts, list(columns)
        self.rows: list[dict[str, float]] = []
        self.minimum_loss: float | None = None
        self.summary: dict[str, Any] | None = None  # once closed

    def start(self, rows: Sequence[dict[str, float]]) -> None:
        """Begin anew with the `rows` that there are already; what an earlier try left beyond them goes."""
        self.rows = list(rows)
        if left := 0 if rows else self._rows_there():
            log.info("%s: begun anew, in place of %d rows of a stopped run", self.folder, left)
        for name in ("summary.json", PICTURE):
            (self.folder / name).unlink(missing_ok=True)
        with whole(self.folder / "metrics.csv") as path, path.open("w", newline="") as file:
            table = self._table(file)
            table.writeheader()
            table.writerows(self.rows)

    def take(self, row: dict[str, float]) -> None:
        """From now on this is the last row, on disk or not."""
        if not self.rows or self.rows[-1] is not row:
            self.rows.append(row)

    def write(self, row: dict[str, float]) -> None:
        self.take(row)
        with (self.folder / "metrics.csv").open("a", newline="") as file:
            self._table(file).writerow(row)

    def _rows_there(self) -> int:
        file = self.folder / "metrics.csv"
        return max(0, file.read_text().count("\n") - 1) if file.exists() else 0

    def _table(self, file: TextIO) -> csv.DictWriter:
        return csv.DictWriter(file, fieldnames=self.columns)

    @property
    def blown_up(self) -> bool:
        """The test loss has left the finite numbers: there is nothing more to record."""
        return bool(self.rows) and not math.isfinite(self.rows[-1]["test_loss"])

    def close(self, status: str, **more: Any) -> dict[str, Any]:
        """Write and return the summary: the last thing a run writes."""
        reached = outcome(self.rows, self.minimum_loss) if self.rows else {}
        self.summary = {"status": status, **reached, **self.facts, **more}
        write_json(self.folder / "summary.json", self.summary)
        return self.summary


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, which takes its place at the end: no reader ever sees half a file."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # where something failed, such as a full disk


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    with whole(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def outcome(
    rows: Sequence[Mapping[str, float]], minimum_loss: float | None
) -> dict[str, float | int | str | None]:
    """Where a run ended, its best test loss, and when it first came within 1.1 × the smallest possible loss.

    `note`: that more than half of its steps were skipped.
    """
    floor, last = FLOOR_FACTOR * (-math.inf if minimum_loss is None else minimum_loss), rows[-1]
    reached = next((row for row in rows if row["test_loss"] <= floor), None)
    losses = [row["test_loss"] for row in rows if not math.isnan(row["test_loss"])]
    steps, skipped = int(last["step"]), int(last.get("skipped_steps", 0))
    return {
        "final_test_loss": finite(last["test_loss"]),
        "best_test_loss": finite(min(losses, default=math.nan)),
        "minimum_loss": minimum_loss,
        "examples_to_floor": int(reached["examples_seen"]) if reached else None,
        "seconds_to_floor": float(reached["train_seconds"]) if reached else None,
        "steps": steps,
        "skipped_steps": skipped,
        "note": f"{skipped} of {steps} steps skipped" if 2 * skipped > steps else None,
        "train_seconds": float(last["train_seconds"]),
    }


def settled(rows: Sequence[Mapping[str, float]]) -> bool:
    """Whether a run has not diverged: noise about its start is none, and losses may be below 0."""
    first, last = rows[0]["test_loss"], rows[-1]["test_loss"]
    return math.isfinite(last) and last - first <= (DIVERGED_AT - 1) * abs(first)


def is_complete(rows: Sequence[Mapping[str, float]], steps: int) -> bool:
    """Whether a run of so many steps has nothing more to record: it took them all, or its loss is not finite."""
    return bool(rows) and (rows[-1]["step"] == steps or not math.isfinite(rows[-1]["test_loss"]))


def finite(value: float) -> float | None:
    """JSON knows no infinity: a loss that is not finite is null."""
    return float(value) if math.isfinite(value) else None
