"""A race: methods are tuned within one budget, then trained on new seeds, alone on the machine, in shuffled order.

Whatever is in the folder already is not done again.
"""

import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from nglab.errors import InputError
from nglab.figures.race.race_protocol import Race
from nglab.figures.race.race_search import Setting
from nglab.figures.race.race_tables import with_floor
from nglab.figures.race.race_tuning import Entrant, Tuner, enter
from nglab.runs.folder import whole
from nglab.runs.machine import calibrate
from nglab.runs.run import run
from nglab.runs.table import read_run
from nglab.sweeps.asked import Asked, unfinished
from nglab.sweeps.job import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What was trained, and how fast the machine was."""

    curves: pd.DataFrame
    calibration: pd.DataFrame
    step_seconds: dict[tuple[str, str, str], float]


def run_race(race: Race, entrants: Sequence[Entrant], jobs: Asked, folder: Path) -> Result:
    """Tune and train those whom `enter_all` let in: all that is missing below `folder`."""
    tuner = Tuner(race, jobs, folder)
    for problem in race.problems:
        tuner.tune([one for one in entrants if one.problem is problem])
    planned = [run for one in entrants for run in planned_runs(race, one, jobs)]
    calibration = train_alone([job for _, _, job in planned], folder / "calibration.csv")
    curves = pd.concat([curve(*of_one) for of_one in planned], ignore_index=True)
    curves = with_clocks(race, entrants, curves)
    return Result(curves, calibration, tuner.step_times.known)


def enter_all(race: Race, jobs: Asked) -> tuple[list[Entrant], dict[tuple[str, str], str]]:
    """Who runs where, and why the others do not; InputError for a method or a problem with none."""
    entrants: list[Entrant] = []
    refused: dict[tuple[str, str], str] = {}
    for method in race.methods:
        for problem in race.problems:
            try:
                entrants.append(enter(race, problem, method, jobs))
            except InputError as error:
                refused[problem.name, method] = str(error)
    for where in range(2):
        racing = {(one.problem.name, one.method)[where] for one in entrants}
        for key, why in refused.items():
            if key[where] not in racing:
                raise InputError(why)
    for (problem_name, method), why in refused.items():
        log.info("%s, %s: does not run: %s", problem_name, method, why)
    return entrants, refused


def chosen_settings(race: Race, one: Entrant) -> dict[Setting, list[str]]:
    """Its best settings, and the clocks that each is the best for."""
    chosen: dict[Setting, list[str]] = {}
    for clock in race.tuned_for:
        chosen.setdefault(one.search.best(clock), []).append(clock)
    return chosen


def planned_runs(race: Race, one: Entrant, jobs: Asked) -> Iterator[tuple[Entrant, Setting, Job]]:
    """The runs that are reported: each chosen setting on each seed."""
    for setting in chosen_settings(race, one):
        for seed in range(one.problem.seeds):
            command = [*one.command(setting, seed), f"train.passes={one.problem.passes:g}"]
            yield one, setting, jobs.job(f"runs/{one.folder(setting, seed)}", command)


def train_alone(jobs: Sequence[Job], file: Path) -> pd.DataFrame:
    """One run at a time, in an order shuffled within each seed; the machine's speed before and after goes to `file`."""
    left = unfinished(jobs)
    random.Random(0).shuffle(left)
    left.sort(key=lambda job: job.config.seed)
    if left:
        log.info("%d runs, one at a time", len(left))
        note_speed(file, "start")
    for number, job in enumerate(left, 1):
        log.info(
            "run %d of %d: %s", number, len(left), job.folder.relative_to(file.parent.absolute())
        )
        run(job.config, job.folder)
    if left:
        note_speed(file, "end")
    return pd.read_csv(file) if file.exists() else pd.DataFrame(columns=["when", "what", "seconds"])


def note_speed(file: Path, what: str) -> None:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    row = pd.DataFrame([{"when": now, "what": what, "seconds": calibrate()}])
    before = [pd.read_csv(file)] if file.exists() else []
    with whole(file) as partial:
        pd.concat([*before, row]).to_csv(partial, index=False)


def curve(one: Entrant, setting: Setting, job: Job) -> pd.DataFrame:
    """The rows of one run, with what it was."""
    record = read_run(job.folder)
    minimum, widths = record.summary["minimum_loss"], record.config.arch.widths
    return with_floor(record.metrics, minimum).assign(
        problem=one.problem.name,
        arch=one.problem.arch,
        widths="-".join(map(str, widths)),
        method=one.method,
        setting=one.label(setting),
        seed=job.config.seed,
        status=record.summary["status"],
    )


def with_clocks(race: Race, entrants: Sequence[Entrant], curves: pd.DataFrame) -> pd.DataFrame:
    """A run stands there once for each clock that its setting was chosen for."""
    clocks = pd.DataFrame(
        [
            (one.problem.name, one.method, one.label(setting), clock)
            for one in entrants
            for setting, of in chosen_settings(race, one).items()
            for clock in of
        ],
        columns=["problem", "method", "setting", "tuned_for"],
    )
    return curves.merge(clocks)
