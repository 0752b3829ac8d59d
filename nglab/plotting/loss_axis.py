"""What an axis of losses shows: its labels, its ends, the floors on it. Told without matplotlib."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

EXAMPLES, SECONDS = "training examples (×10³)", "wall-clock time (seconds)"

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def seconds_label(summaries: Sequence[Mapping[str, Any]]) -> str:
    """The axis of the clock; it says where runs were trained together or may have been beside one another."""
    most = max(summary.get("stacked", 1) for summary in summaries)
    if most > 1:
        return f"seconds, shared by {most} stacked runs"
    beside = any(summary.get("concurrent") for summary in summaries)
    return "seconds, of runs beside others" if beside else SECONDS


def loss_limits(runs: Iterable[ArrayLike], floors: Iterable[float]) -> tuple[float, float]:
    """Ends of a log axis for the losses of runs: all of them and the floors, but no more than ten
    times above where the runs began."""
    shown = [loss[np.isfinite(loss) & (loss > 0)] for loss in map(np.asarray, runs)]
    shown = [loss for loss in shown if len(loss)]
    if not shown:
        return 0.1, 1.0
    top = min(max(loss.max() for loss in shown), 10 * max(loss[0] for loss in shown))
    return min([*floors, *(loss.min() for loss in shown)]) / 1.5, top * 1.5


def positive(floors: Iterable[float | None]) -> list[float]:
    """The distinct floors that a log axis can show."""
    return sorted({float(floor) for floor in floors if floor is not None and floor > 0})


def power_of_ten(value: float, _: object = None) -> str:
    """10⁻³ in the characters of the font: TeX's way takes a third of the time of a small figure."""
    if not 0 < value < math.inf:  # a tick far outside
        return ""
    return "10" + str(round(math.log10(value))).translate(SUPERSCRIPT)
