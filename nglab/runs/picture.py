"""A run's picture, from its rows and its summary."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nglab.plotting.loss_figure import save_loss_figure
from nglab.runs.folder import whole
from nglab.runs.status import PICTURE


def draw(
    folder: Path,
    rows: Sequence[Mapping[str, float]],
    minimum_loss: float | None,
    facts: Mapping[str, Any],
) -> None:
    with whole(folder / PICTURE) as path:
        save_loss_figure(rows, minimum_loss, path, facts)
