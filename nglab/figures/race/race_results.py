"""The tables of a race from what was run: times to the targets, the tuning, the settings chosen."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nglab.errors import InputError
from nglab.figures.race.race_protocol import Problem, Race, Target
from nglab.figures.race.race_tables import times_of
from nglab.figures.race.race_tuning import Entrant

ABOUT = ["problem", "arch", "method", "tuned_for", "setting", "seed", "status"]
"""The columns of a curve that say which run it is."""

NEEDED = [
    *ABOUT,
    "widths",
    "minimum_loss",
    "step",
    "examples_seen",
    "passes",
    "train_seconds",
    "test_loss",
]


def times_table(problems: Sequence[Problem], curves: pd.DataFrame) -> pd.DataFrame:
    """`race.csv`: a row a run and target; `curves` has the rows of all runs."""
    aims = {problem.name: problem.aims for problem in problems}
    return pd.concat(
        [
            times_of(
                rows.sort_values("step"), aims[str(about[0])], dict(zip(ABOUT, about, strict=True))
            )
            for about, rows in curves.groupby(ABOUT, sort=False)
        ],
        ignore_index=True,
    )


def tuning_table(entrants: Sequence[Entrant], race: Race) -> pd.DataFrame:
    """`tuning.csv`: a row a tuning run and target, with a column a tuned key."""
    rows: list[dict[str, Any]] = []
    for one in entrants:
        best = {clock: one.search.best(clock) for clock in race.tuned_for}
        for setting, outcomes in one.tried.items():
            about = {
                "problem": one.problem.name,
                "method": one.method,
                "setting": one.label(setting),
                "chosen_for": " ".join(clock for clock in best if best[clock] == setting),
            }
            for outcome in outcomes:
                ran = {"seed": outcome.seed, "status": outcome.status, "final": outcome.final}
                rows += [
                    about | ran | aim(target) | times | one.named(setting)
                    for target, times in outcome.times.items()
                ]
    return pd.DataFrame(rows)


def aim(target: Target) -> dict[str, Any]:
    return {"target": str(target), "column": target.column, "value": target.value}


def chosen_table(
    entrants: Sequence[Entrant], race: Race, step_seconds: Mapping[tuple[str, str, str], float]
) -> pd.DataFrame:
    """`settings.csv`: a row a problem, method and clock; `step_seconds` by `Entrant.work`."""
    return pd.DataFrame(
        [
            {
                "problem": one.problem.name,
                "arch": one.problem.arch,
                "method": one.method,
                "tuned_for": clock,
                "setting": one.label(one.search.best(clock)),
                "unsettled": ", ".join(one.search.unsettled(clock)),
                "runs": len(one.search.scores),
                "step_seconds": step_seconds.get(one.work(one.search.best(clock)), math.nan),
            }
            for one in entrants
            for clock in race.tuned_for
        ]
    )


def read_beside(files: Sequence[str], problems: Sequence[Problem]) -> pd.DataFrame:
    """Curves of methods that were trained elsewhere, on the race's problems; InputError where a file is none."""
    tables = [pd.DataFrame(columns=NEEDED)]
    for file in map(Path, files):
        if not os.path.isfile(file):
            raise InputError(f"beside={file}: there is no such file")
        try:
            table = pd.read_csv(file)
        except ValueError as error:  # nor is what is no text, or has no columns
            raise InputError(f"beside={file}: is no CSV ({error})") from error
        if missing := [name for name in NEEDED if name not in table]:
            raise InputError(f"beside={file}: has no column {', '.join(missing)}")
        tables.append(table[table.problem.isin([problem.name for problem in problems])])
    return pd.concat([table for table in tables if len(table)] or tables)


def refusals(refused: Mapping[tuple[str, str], str]) -> dict[str, str]:
    """Which methods do not run on which problem, and why."""
    return {
        f"{method} on {problem}": f"does not run: {why}"
        for (problem, method), why in refused.items()
    }
