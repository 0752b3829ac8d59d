"""The page's table: a row a run, or a row a setting whose runs differ in nothing but their seed."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from nglab.figures.comparison import Line
from nglab.runs.many import is_choice
from nglab.runs.selection import Facts, is_missing, is_number, text

RESULTS = {
    "status": ("status", "what became of it"),
    "note": ("note", ""),
    "test_loss": ("final loss", "test loss at the end"),
    "best_test_loss": ("best loss", "least test loss of an evaluation"),
    "times_floor": ("÷ floor", "final loss ÷ the smallest possible"),
    "examples_to_target": ("examples to target", "training examples until the target was reached"),
    "seconds_to_target": ("seconds to target", "seconds of training until the target was reached"),
    "examples_seen": ("examples", "training examples seen in all"),
    "train_seconds": ("seconds", "of training in all"),
}
"""Key → its name and its meaning; other columns of `metrics.csv` that begin with `test_` come after the best loss."""

NEVER = ("examples_to_target", "seconds_to_target")
"""Where ∞ reads "never"."""

FINAL = ("test_loss", "times_floor")


@dataclass(frozen=True)
class Column:
    """What a condition calls it, its head, what it means, and whether it holds numbers alone."""

    key: str
    label: str
    meaning: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """What is shown, and what is sorted and compared by where that is more exact."""

    shown: str
    exact: str | None = None


def columns_of(
    keys: Sequence[str], before: str, known: Sequence[Facts], after: Iterable[str] = ()
) -> list[Column]:
    """Those of the settings, then those of the results that any row has; `before`: of seeds or of numbers of runs."""
    settings = [Column(key, short_name(key, keys), key) for key in keys]
    other = [name for own in known for name in own if name.startswith("test_")]
    results: dict[str, tuple[str, str]] = {}
    for key, head in RESULTS.items():
        results[key] = head
        if key == "best_test_loss":
            results |= {
                name: (name.replace("_", " "), "at the end")
                for name in other
                if name != "test_loss"
            }
    found = [Column(key, *head) for key, head in results.items()]
    beside = [Column(key, key, "") for key in after]
    every = [*settings, Column(before, before, ""), *found, *beside]
    there = [column for column in every if column.key in keys or tells(column.key, known)]
    return [replace(column, numeric=numeric(column.key, known)) for column in there]


def numeric(key: str, known: Sequence[Facts]) -> bool:
    return all(is_number(own.get(key)) or is_missing(own.get(key)) for own in known)


def tells(key: str, known: Sequence[Facts]) -> bool:
    """Whether any row has a value there; of seeds, whether they differ."""
    values = {text(own.get(key)) for own in known}
    return len(values) > 1 if key == "seed" else values != {""}


def short_name(key: str, keys: Sequence[str]) -> str:
    """`optimizer.damping.initial` as `damping.initial`, a choice as its group's name."""
    if is_choice(key):
        return key.rpartition(".")[0].rpartition(".")[2] or key
    short = key.split(".", 1)[-1]
    return short if sum(other.split(".", 1)[-1] == short for other in keys) == 1 else key


def cells(own: Facts, columns: Sequence[Column]) -> list[Cell]:
    return [cell(own.get(column.key), column.key) for column in columns]


def cell(value: Any, key: str) -> Cell:
    if is_missing(value):
        return Cell("")
    if isinstance(value, float):
        shown = ("never" if key in NEVER else "∞") if value == math.inf else digits(value)
        exact = f"{value:.7g}" if math.isfinite(value) else "Infinity"
        return Cell(shown, None if shown == exact else exact)
    if is_choice(key):
        return Cell(str(value).rpartition(".")[2])
    return Cell(text(value))


def digits(value: float) -> str:
    """Four of them, from 1000 to ten million all that are before the point."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"


def of_setting(line: Line, known: Sequence[Facts]) -> dict[str, Any]:
    """What is known of a setting: medians of what is known of its runs, and how many there are of each status."""
    keys = dict.fromkeys(key for own in known for key in own)
    return {
        **{key: middle(values_at(key, known)) for key in keys},
        **line.config,
        "status": statuses(str(own["status"]) for own in known),
        "note": next((own["note"] for own in known if own.get("note")), None),
        "runs": len(known),
        "finals": list(values_at("test_loss", known)),
        "diverged": sum(own["status"] == "diverged" for own in known),
    }


def values_at(key: str, known: Sequence[Facts]) -> Iterator[float]:
    """The numbers there; a run that diverged has no final loss but ∞."""
    for own in known:
        value: Any = own.get(key)
        if is_number(value):
            lost = own["status"] == "diverged" and key in FINAL
            yield math.inf if lost or math.isnan(value) else value


def middle(values: Iterable[float]) -> float | None:
    there = list(values)
    return median(there) if there else None


def statuses(each: Iterable[str]) -> str:
    """One status as it is, several counted: "7 finished, 1 diverged"."""
    counts = Counter(each)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{number} {status}" for status, number in counts.items())
