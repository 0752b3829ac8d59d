"""When runs reached a target: what the page's table and its picture of both clocks show."""

import math
from dataclasses import dataclass

from nglab.figures.race.race_protocol import Target
from nglab.figures.race.race_tables import first_time, with_floor
from nglab.runs.folder import FLOOR_FACTOR
from nglab.runs.selection import number
from nglab.runs.table import RunRecord
from nglab.settings.messages import demand

AT_THE_FLOOR = Target("times_floor", FLOOR_FACTOR)


@dataclass(frozen=True)
class Reached:
    """When a run's test loss was first at most the target: ∞ where never, None where it cannot be said."""

    examples: float | None = None
    seconds: float | None = None

    @property
    def never(self) -> bool:
        return self.examples == math.inf


def reached(record: RunRecord, target: Target) -> Reached:
    """Between two evaluations the logarithm of the loss is taken to be linear."""
    minimum = record.summary.get("minimum_loss")
    if not record.columns["step"] or (target.column == "times_floor" and not minimum):
        return Reached()
    times = first_time(with_floor(record.metrics, minimum), target)
    return Reached(times["examples"], times["seconds"])


def target_of(word: str | None) -> Target:
    """The target that a word means: 1.1 × the smallest possible loss, or a test loss."""
    if word is None:
        return AT_THE_FLOOR
    loss = number(word)
    demand(loss is not None and 0 < loss < math.inf, "target", word, "a test loss, above 0")
    return Target("test_loss", loss or math.nan)
