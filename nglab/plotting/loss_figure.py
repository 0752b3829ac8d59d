"""One run's loss against examples and against seconds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nglab.plotting.canvas import Canvas, Point, Words
from nglab.plotting.loss_axis import EXAMPLES, loss_limits, positive, seconds_label
from nglab.plotting.ticks import Ticks, log_ticks, round_ticks

PIXELS = 840, 345  # at 150 an inch
LEFT, RIGHT = (84, 17, 440, 283), (468, 17, 824, 283)
"""The two panels: left, top, right, bottom."""

MARGIN = 0.05  # of an axis, on both sides of its values
THIN, MEDIUM, THICK, TICK, DOT = 1.25, 2, 2.5, 5, 3
GREY = 140  # of the floor
FEW = 30
"""Fewer points than these are marked."""

SMALL, LARGE = 13.5, 14.6
"""The height of the letters of ticks and of labels."""


def save_loss_figure(
    rows: Sequence[Mapping[str, float]],
    minimum_loss: float | None,
    path: Path,
    circumstances: Mapping[str, Any],
) -> None:
    """One run's test loss against examples and against seconds; what is not finite is left out.

    `circumstances`: of the run's summary, `stacked` and `concurrent` say what else its seconds were spent on.
    """
    losses, floors = [row["test_loss"] for row in rows], positive([minimum_loss])
    y = Axis.of_losses(losses, floors)
    examples = [row["examples_seen"] / 1000 for row in rows]
    seconds = [row["train_seconds"] for row in rows]
    left = Panel(LEFT, Axis.of(examples), y, EXAMPLES)
    right = Panel(RIGHT, Axis.of(seconds), y, seconds_label([circumstances]))
    canvas = Canvas(*PIXELS)
    for panel, x in ((left, examples), (right, seconds)):
        panel.draw(canvas, list(zip(x, losses, strict=True)), floors)
    words = canvas.finished()
    for panel in (left, right):
        panel.label(words)
    left.label_losses(words)
    words.save(path)


@dataclass(frozen=True)
class Axis:
    """Its ends and its ticks; `log`: equal factors are equally long."""

    low: float
    high: float
    ticks: Ticks
    log: bool = False

    @classmethod
    def of(cls, values: Sequence[float]) -> "Axis":
        first, last = (min(values), max(values)) if values else (0.0, 0.0)
        beside = MARGIN * (last - first or 1.0)
        return cls(first - beside, last + beside, round_ticks(first - beside, last + beside))

    @classmethod
    def of_losses(cls, losses: Sequence[float], floors: Sequence[float]) -> "Axis":
        low, high = loss_limits([losses], floors)
        return cls(low, high, log_ticks(low, high), log=True)

    def share(self, value: float) -> float:
        """How far along the axis a value is, from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Panel:
    """One pair of axes within the picture."""

    box: tuple[int, int, int, int]
    x: Axis
    y: Axis
    title: str

    def place(self, x: float, loss: float) -> Point:
        """In the picture."""
        left, top, right, bottom = self.box
        across, up = self.x.share(x) * (right - left), self.y.share(loss) * (bottom - top)
        return left + across, bottom - up

    def draw(self, canvas: Canvas, points: Sequence[Point], floors: Sequence[float]) -> None:
        left, top, right, bottom = self.box
        canvas.paste(self.inside(points, floors), (left, top))
        canvas.line([(left, top), (left, bottom), (right, bottom)], THIN)
        for value, _ in self.y.ticks:
            _, height = self.place(self.x.low, value)
            canvas.line([(left - TICK, height), (left, height)], THIN)
        for value, _ in self.x.ticks:
            across, _ = self.place(value, self.y.low)
            canvas.line([(across, bottom), (across, bottom + TICK)], THIN)

    def inside(self, points: Sequence[Point], floors: Sequence[float]) -> Canvas:
        """What lies between the axes: the floors and the curve, broken where a loss cannot be shown."""
        left, top, right, bottom = self.box
        canvas = Canvas(right - left, bottom - top)
        curve: list[list[Point]] = [[]]
        for floor in floors:
            canvas.dashes(self.place(self.x.low, floor)[1] - top, MEDIUM, GREY)
        for x, loss in points:
            if not (0 < loss < math.inf):
                curve.append([])
                continue
            across, height = self.place(x, loss)
            curve[-1].append((across - left, height - top))
        for piece in filter(None, curve):
            canvas.line(piece, THICK)
            for point in piece if len(points) < FEW else ():
                canvas.disc(point, DOT)
        return canvas

    def label(self, words: Words) -> None:
        left, _, right, bottom = self.box
        for value, text in self.x.ticks:
            across, _ = self.place(value, self.y.low)
            words.write(text, (across, bottom + 2 * TICK), "ma", SMALL)
        words.write(self.title, ((left + right) / 2, bottom + 30), "ma", LARGE)

    def label_losses(self, words: Words) -> None:
        left, top, _, bottom = self.box
        for value, text in self.y.ticks:
            _, height = self.place(self.x.low, value)
            words.write(text, (left - 2 * TICK, height), "rm", SMALL)
        words.write_upwards("test loss", (27, (top + bottom) / 2), LARGE)
