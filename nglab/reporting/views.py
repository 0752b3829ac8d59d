"""What a page shows of its runs, run by run and setting by setting: a table, and a curve for each of its rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_hex

from nglab.figures.comparison import looks
from nglab.reporting.curves import Places, of_line, of_run, points_each
from nglab.reporting.gathering import Gathered
from nglab.reporting.report_table import Cell, Column, cells, columns_of, of_setting
from nglab.runs.many import describe
from nglab.runs.selection import is_number, text

RATE = "optimizer.lr"
DISTINCT = 40
"""So many lines have looks of their own, those of `nglab plot`; of more, those that are shown in colour."""

DASHES = {"-": "", "--": "6 3", ":": "1.5 2.5", "-.": "6 2 1.5 2"}
LONG_DASH = "9 2 2 2 2 2"

Known = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A line of the table: its cells, its name, and what became of it, in words that style it."""

    cells: list[Cell]
    label: str
    outcome: str


@dataclass(frozen=True)
class View:
    """A table, and what is drawn of each of its rows, in the same order."""

    name: str
    columns: list[Column]
    rows: list[Row]
    curves: list[dict[str, Any]]


def views(runs: Gathered, places: Places) -> list[View]:
    """The settings, where one has several runs, then the runs. `places` takes their lists of examples."""
    most = points_each(len(runs.records) + len(runs.lines))
    several = any(len(line.records) > 1 for line in runs.lines)
    return [*([of_settings(runs, most)] if several else []), of_runs(runs, most, places)]


def of_settings(runs: Gathered, most: int) -> View:
    known = [of_setting(line, runs.known_of(line)) for line in runs.lines]
    columns = columns_of(runs.keys, "runs", known)
    labels = [line.label(runs.keys) for line in runs.lines]
    curves = [of_line(line, most) for line in runs.lines]
    return view("settings", runs, columns, known, labels, curves, own_looks(runs))


def of_runs(runs: Gathered, most: int, places: Places) -> View:
    columns = columns_of(runs.keys, "seed", runs.known, after=["folder"])
    by_setting = {id(record): look for line, look in zip(runs.lines, own_looks(runs), strict=True)
                  for record in line.records}  # fmt: skip
    seeds = any(column.key == "seed" for column in columns)
    labels = [run_label(known, runs.keys, seeds) for known in runs.known]
    curves = [of_run(record, most, places) for record in runs.records]
    each = [by_setting.get(id(record), {}) for record in runs.records]
    return view("runs", runs, columns, runs.known, labels, curves, each)


def view(
    name: str,
    runs: Gathered,
    columns: list[Column],
    known: Sequence[Known],
    labels: Sequence[str],
    curves: Sequence[dict[str, Any]],
    each: Sequence[dict[str, str]],
) -> View:
    """`each`: the looks of the rows."""
    methods = [key for key in runs.keys if key != RATE]
    rows = [
        Row(cells(own, columns), label, outcome(own))
        for own, label in zip(known, labels, strict=True)
    ]
    drawn = [
        {"label": label, **look, **curve, **ends(own), "method": describe(dict(own), methods)}
        for own, label, curve, look in zip(known, labels, curves, each, strict=True)
    ]
    return View(name, columns, rows, drawn)


def ends(own: Known) -> dict[str, Any]:
    """What is drawn of an end: the rate it was trained at, the loss there, when the target was reached.

    `lost` of its runs, of which there are `of`, diverged; these have no final loss.
    """
    rate, lost = own.get(RATE), int(own["status"] == "diverged")
    finals = own.get("finals", [None if lost else own.get("test_loss")])
    return {
        "rate": rate if is_number(rate) else None,
        "final": None if lost else number(own.get("test_loss")),
        "finals": [number(final) for final in finals],
        "reached": [number(own.get("examples_to_target")), number(own.get("seconds_to_target"))],
        "lost": own.get("diverged", lost),
        "of": own.get("runs", 1),
    }


def outcome(own: Known) -> str:
    """The statuses alone, the numbers aside."""
    return " ".join(word for word in str(own["status"]).replace(",", "").split() if word.isalpha())


def run_label(own: Known, keys: Sequence[str], seeds: bool) -> str:
    """What differs, the seed where there are several, and what became of it unless it is finished."""
    named = describe(dict(own), keys) or describe(dict(own), ["arch.name", "optimizer.name"])
    parts = [named, f"seed {text(own.get('seed'))}" if seeds else ""]
    status = own["status"]
    return ", ".join(filter(None, parts)) + ("" if status == "finished" else f" ({status})")


def own_looks(runs: Gathered) -> list[dict[str, str]]:
    """The colours and dashes of the settings, as `nglab plot` has them, where they are told apart."""
    found = looks(runs.lines, runs.keys)
    if len(found) > DISTINCT and any("linestyle" in look for look in found):
        return [{} for _ in found]
    return [
        {"colour": to_hex(look["color"]), "dash": dash_of(look.get("linestyle", "-"))}
        for look in found
    ]


def dash_of(linestyle: Any) -> str:
    """matplotlib's line style as SVG's dashes."""
    return DASHES.get(linestyle, LONG_DASH) if isinstance(linestyle, str) else LONG_DASH


def number(value: Any) -> float | None:
    """None where JSON knows no such number."""
    return float(f"{value:.6g}") if is_number(value) and math.isfinite(value) else None
