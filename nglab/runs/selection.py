"""Runs chosen by conditions and put in order, by all that is known of them.

A condition is `KEY SIGN VALUE`, without spaces around the sign: `optimizer.lr<0.02`, `status=finished`, `folder~sweep`.
`<`, `<=`, `>`, `>=` compare numbers, text by its letters; `=` and `!=` numbers as numbers; `~`: contains. A run that
has no such value is "" and in no order: `note=` is true of it, `note!=` is not.
"""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nglab.errors import InputError
from nglab.runs.many import collect_row
from nglab.runs.table import RunRecord, whole_runs
from nglab.settings.messages import demand, near

ORDERS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
EQUALITIES = {"=": operator.eq, "!=": operator.ne}
CONTAINS = "~"
FORM = re.compile(r"([^<>=!~\s]+)(<=|>=|!=|<|>|=|~)((?![<>=!~]).*)", re.DOTALL)
EXAMPLE = "KEY<VALUE, with one of = != < <= > >= and ~ (contains), such as 'optimizer.lr<0.02'"

SHORT = {
    "arch": "arch.name", "optimizer": "optimizer.name", "lr": "optimizer.lr", "loss": "test_loss",
    "×minimum": "times_floor", "steps": "step", "seconds": "train_seconds",
}  # fmt: skip
"""What the columns of the listing are called, where that is not their key."""

ALWAYS = (*SHORT.values(), "seed")
"""What may be asked of runs that have no such value."""

Facts = Mapping[str, Any]
"""What is known of a run, by dotted key."""


@dataclass(frozen=True)
class Condition:
    """What a run's value at `key` must be."""

    key: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{self.key}{self.sign}{self.value}"

    def holds(self, fact: Any) -> bool:
        if self.sign == CONTAINS:
            return self.value in text(fact)
        compare, wanted = (ORDERS | EQUALITIES)[self.sign], number(self.value)
        if wanted is not None and is_number(fact):
            return bool(compare(fact, wanted))
        ordered = self.sign in ORDERS
        return not (ordered and text(fact) == "") and bool(compare(text(fact), self.value))


def facts(record: RunRecord, root: Path | None = None) -> dict[str, Any]:
    """The configuration's keys, the summary's fields, the last row, `times_floor` = test loss ÷ the smallest possible.

    `folder` is below `root`, `when` the time of the last row. What has no value is None or not there.
    """
    last = {name: column[-1] for name, column in record.columns.items() if column}
    minimum = record.summary.get("minimum_loss")
    known = {**collect_row(record), **last}
    known["times_floor"] = last["test_loss"] / minimum if last and minimum else None
    known["folder"] = str(record.folder.relative_to(root) if root else record.folder)
    written = datetime.fromtimestamp((record.folder / "metrics.csv").stat().st_mtime)
    return known | {"when": f"{written:%Y-%m-%d %H:%M}"}


def chosen(
    records: Sequence[RunRecord], conditions: Sequence[str], root: Path | None = None
) -> list[RunRecord]:
    """The runs that fulfil all `conditions`. Raises InputError where one cannot be asked of them."""
    if not conditions:
        return list(records)
    known = [facts(record, root) for record in records]
    asked = [condition_of(words, known) for words in conditions]
    return [
        record
        for record, own in zip(records, known, strict=True)
        if all(one.holds(own.get(one.key)) for one in asked)
    ]


def runs_with(
    paths: Sequence[Path], conditions: Sequence[str], say: Callable[[str], object]
) -> list[RunRecord]:
    """The whole runs at or below `paths` that fulfil all `conditions`, one or more; of damaged ones it is said."""
    there = whole_runs(paths, say)
    found = chosen(there, conditions)
    if not found:
        raise InputError(nothing_left(len(there), conditions))
    return found


def nothing_left(number: int, conditions: Sequence[str]) -> str:
    if not number:
        return "no run here is whole: nglab check says what to do"
    return f"where {', '.join(conditions)}: so is none of {number} runs"


def condition_of(words: str, known: Sequence[Facts]) -> Condition:
    """A condition as it was written, its key one that the runs have."""
    found = FORM.fullmatch(words)
    demand(found is not None, "where", words, EXAMPLE)
    key, sign, value = found.groups() if found else ("", "", "")
    condition = Condition(key_of(key, names(known)), sign, value)
    numbers = any(is_number(own.get(condition.key)) for own in known)
    right = sign not in ORDERS or number(value) is not None or not numbers
    demand(right, "where", words, f"compared with a number, as {condition.key} is one")
    return condition


def in_order(
    records: Sequence[RunRecord], key: str | None, root: Path | None = None
) -> list[RunRecord]:
    """Sorted by what stands at `key`, with `-` before it downwards; at the end those that have nothing there.

    Numbers come before text. Raises InputError where no run has such a key.
    """
    if key is None:
        return list(records)
    known = [facts(record, root) for record in records]
    full = key_of(key.removeprefix("-"), names(known))
    pairs = [(own.get(full), record) for own, record in zip(known, records, strict=True)]
    there = [(order(fact), record) for fact, record in pairs if not is_missing(fact)]
    there.sort(key=lambda pair: pair[0], reverse=key.startswith("-"))
    return [record for _, record in there] + [r for fact, r in pairs if is_missing(fact)]


def key_of(word: str, known: Collection[str]) -> str:
    """The key that `word` means: itself, a column of the listing, a group's option, the end of one key alone."""
    for name in (word, SHORT.get(word, ""), f"{word}.name"):
        if name in known:
            return name
    ending = [name for name in known if name.endswith(f".{word}")]
    if len(ending) > 1:
        raise InputError(f"{word}: is the end of {', '.join(ending)}: give one of them")
    if not ending:
        raise InputError(f"{word}: no such column; {near(word, [*SHORT, *known])}")
    return ending[0]


def names(known: Sequence[Facts]) -> list[str]:
    """The keys that any of the runs has, and `ALWAYS`; classes are named by their options."""
    found = dict.fromkeys([*(key for own in known for key in own), *ALWAYS])
    return [key for key in found if not key.endswith("_target_")]


def number(word: str) -> float | None:
    """The number that a word says, else None.

    >>> number("1e-3"), number("inf"), number("sgd")
    (0.001, inf, None)
    """
    try:
        return float(word)
    except ValueError:
        return None


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_missing(fact: Any) -> bool:
    return fact is None or (isinstance(fact, float) and math.isnan(fact))


def text(fact: Any) -> str:
    """A value as a condition is written: `true`, `0.02`, `finished`; "" where there is none."""
    if isinstance(fact, bool):
        return str(fact).lower()
    return "" if is_missing(fact) else str(fact)


def order(value: Any) -> tuple[bool, float, str]:
    """Sorts numbers by value before everything else by text."""
    numeric = is_number(value)
    return (not numeric, value if numeric else 0, "" if numeric else str(value))
