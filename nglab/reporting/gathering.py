"""The runs of a page: what tells them apart, which are one setting, and what is known of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nglab.figures.comparison import Line, group
from nglab.figures.race.race_protocol import Target
from nglab.reporting.times import reached
from nglab.runs.many import common_root, differing_keys, flatten
from nglab.runs.selection import facts
from nglab.runs.table import RunRecord


@dataclass(frozen=True)
class Gathered:
    """Runs with what is known of each, setting by setting; after them those that have no row, which are in no line."""

    keys: list[str]
    lines: list[Line]
    records: list[RunRecord]
    known: list[dict[str, Any]]

    @property
    def configs(self) -> list[dict[str, Any]]:
        return [flatten(record.settings) for record in self.records]

    def known_of(self, line: Line) -> list[dict[str, Any]]:
        members = set(map(id, line.records))
        pairs = zip(self.records, self.known, strict=True)
        return [known for record, known in pairs if id(record) in members]


def gather(records: Sequence[RunRecord], target: Target) -> Gathered:
    """`target`: when each run reached it is among what is known."""
    keys = differing_keys([flatten(record.settings) for record in records])
    drawn = [record for record in records if record.columns["step"]]
    lines = group(drawn, [flatten(record.settings) for record in drawn], keys)
    ordered = [record for line in lines for record in line.records]
    ordered += [record for record in records if not record.columns["step"]]
    root = common_root([record.folder for record in records])
    return Gathered(keys, lines, ordered, [known_of(record, root, target) for record in ordered])


def known_of(record: RunRecord, root: Path, target: Target) -> dict[str, Any]:
    times = reached(record, target)
    return {
        **facts(record, root),
        "examples_to_target": times.examples,
        "seconds_to_target": times.seconds,
    }
