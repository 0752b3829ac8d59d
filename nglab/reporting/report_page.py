"""Runs as one file to look at and to send: curves, a table, what the runs share, and what they were made with.

The page needs no network and no other file. Its table is HTML, its curves are JSON that `page/report.js` draws. The
template escapes every text that came from a run.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from nglab import __version__
from nglab.figures.comparison import NAMES
from nglab.figures.race.race_protocol import Target
from nglab.plotting.loss_axis import EXAMPLES, positive, seconds_label
from nglab.plotting.style import FLOOR_COLOUR, PALETTE
from nglab.reporting.curves import Places
from nglab.reporting.gathering import Gathered, gather
from nglab.reporting.made_with import common_settings, made_with
from nglab.reporting.times import AT_THE_FLOOR
from nglab.reporting.views import View, views
from nglab.runs.many import describe
from nglab.runs.outputs import writing
from nglab.runs.table import RunRecord

PAGE = "page"
"""The folder of the template, the style and the script."""


def write_report(
    records: Sequence[RunRecord], damage: Sequence[str], out: Path, target: Target = AT_THE_FLOOR
) -> None:
    """Write the page of `records`, one or more, to `out`; `damage`: what is said of runs that are left out."""
    page = report(records, damage, target)
    with writing(out) as file:
        file.write(page)


def report(records: Sequence[RunRecord], damage: Sequence[str], target: Target) -> str:
    """The page as HTML."""
    runs, places = gather(records, target), Places()
    shown = views(runs, places)
    return environment().from_string(part("report.html")).render(
        title=title(runs),
        counts=counts(runs),
        best=best(shown[0]),
        target=str(target),
        views=shown,
        data=data(runs, shown, places),
        common=common_settings(runs.configs),
        made_with=list(made_with(runs.records)),
        runs=len(runs.records),
        damage=damage,
        version=__version__,
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}",
        style=Markup(part("report.css")),
        script=Markup(part("report.js")),
    )  # fmt: skip


@cache
def environment() -> Environment:
    made = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return made


def part(name: str) -> str:
    return (files(__package__) / PAGE / name).read_text(encoding="utf-8")


def data(runs: Gathered, shown: Sequence[View], places: Places) -> dict[str, Any]:
    """What the script draws."""
    return {
        "places": places.lists,
        "views": {view.name: view.curves for view in shown},
        "floors": positive(record.summary.get("minimum_loss") for record in runs.records),
        "clocks": [EXAMPLES, seconds_label([record.summary for record in runs.records])],
        "palette": PALETTE,
        "floor": FLOOR_COLOUR,
    }


def title(runs: Gathered) -> str:
    """What the runs have in common: "square, sgd"."""
    return describe(runs.configs[0], [name for name in NAMES if name not in runs.keys])


def counts(runs: Gathered) -> list[tuple[str, int]]:
    """How many runs have which status, the most frequent first."""
    return Counter(str(record.summary["status"]) for record in runs.records).most_common()


def best(view: View) -> dict[str, Any] | None:
    """The row of the least final loss; None where no run has one."""
    there = [curve for curve in view.curves if curve["final"] is not None]
    return min(there, key=lambda curve: curve["final"], default=None)
