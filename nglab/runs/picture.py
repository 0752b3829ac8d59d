"""A run's picture, from its rows and its summary."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nglab.plotting.loss_figure import save_loss_figure
from nglab.runs.folder import whole

PICTURE = "loss.png"
SHOWN = ("examples_seen", "train_seconds", "test_loss")


def draw(
    folder: Path,
    rows: Sequence[Mapping[str, float]],
    minimum_loss: float | None,
    facts: Mapping[str, Any],
) -> None:
    with whole(folder / PICTURE) as path:
        save_loss_figure(rows, minimum_loss, path, facts)


def draw_missing(folder: Path) -> None:
    """The picture of a run that was killed between its summary and its picture."""
    if (folder / PICTURE).exists():
        return
    summary = json.loads((folder / "summary.json").read_text())
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{key: float(row[key] or "nan") for key in SHOWN} for row in csv.DictReader(file)]
    draw(folder, rows, summary.get("minimum_loss"), summary)
