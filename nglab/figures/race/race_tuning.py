"""Tuning: every method's settings tried within one budget, and for each clock the best one chosen."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from nglab.errors import InputError
from nglab.figures.race.grid import check_grid, defaults_of, grid_of, overrides
from nglab.figures.race.race_protocol import CLOCKS, COLUMNS, FINAL, Problem, Race, Target
from nglab.figures.race.race_search import Score, Search, Setting
from nglab.figures.race.race_tables import final_value, first_time, with_floor
from nglab.figures.race.step_times import StepTimes
from nglab.runs.config import Config
from nglab.runs.run import columns
from nglab.runs.table import read_metrics, read_summary
from nglab.settings.messages import demand, one_of
from nglab.sweeps.asked import Asked
from nglab.sweeps.job import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a tuning run: its final loss, ∞ where it diverged, and when it reached each target."""

    seed: int
    status: str
    final: float
    minimum_loss: float | None
    times: dict[Target, dict[str, float]]


@dataclass
class Entrant:
    """A method on a problem, with what is tried of it."""

    problem: Problem
    method: str
    defaults: Job
    search: Search
    tried: dict[Setting, list[Outcome]] = field(default_factory=dict)

    def named(self, setting: Setting) -> dict[str, Any]:
        return dict(zip(self.search.keys, setting, strict=True))

    def label(self, setting: Setting) -> str:
        """ "lr=0.01 batch_size=20"."""
        return " ".join(f"{key}={value}" for key, value in self.named(setting).items())

    def command(self, setting: Setting, seed: int) -> list[str]:
        own = overrides(self.named(setting), self.defaults.composed)
        return [*self.problem.command(self.method, seed), *own]

    def folder(self, setting: Setting, seed: int) -> str:
        label = self.label(setting).replace(" ", ",") or "defaults"
        return f"{self.problem.name}/{self.method}/{label}/{seed}"

    def work(self, setting: Setting) -> tuple[str, str, str]:
        """Equal where a step is the same work: all of a setting but its real numbers."""
        named = self.named(setting).items()
        whole = " ".join(f"{key}={value}" for key, value in named if not isinstance(value, float))
        return self.problem.name, self.method, whole


def enter(race: Race, problem: Problem, method: str, jobs: Asked) -> Entrant:
    """The method on the problem, its default settings checked; InputError where they do not run there."""
    command = [*problem.command(method, 0), f"train.passes={problem.passes:g}"]
    defaults = jobs.job(f"runs/{problem.name}/{method}/defaults/0", command)
    check_aims(problem, defaults.config)
    jobs.job(f"tuning/{problem.name}/{method}/defaults/0", [*command, *problem.of_tuning])
    grid = problem.grids.get(method)
    if grid is None:
        grid = grid_of(defaults.composed)
    else:
        check_grid(grid, defaults.composed, f"problem.{problem.name}.grids.{method}")
    own = defaults_of(defaults.composed)
    first = tuple(own[key] for key in grid)
    budget = problem.tuning.settings
    return Entrant(problem, method, defaults, Search(grid, first, budget, race.search_seed))


def check_aims(problem: Problem, config: Config) -> None:
    """InputError where the runs have no such column as a target is of."""
    floor = config.data.minimum_loss(config.arch, config.likelihood)
    there = set(columns(config)) | ({"times_floor"} if floor is not None else set())
    right = one_of(column for column in COLUMNS if column in there)
    for target in problem.aims:
        demand(target.column in there, f"problem.{problem.name}.targets", target.column, right)


class Tuner:
    """Tries settings by a launcher, below `tuning/`; what is finished there is not trained again."""

    def __init__(self, race: Race, jobs: Asked, folder: Path) -> None:
        self.race, self.jobs, self.step_times = race, jobs, StepTimes(folder / "step_times.csv")

    def tune(self, entrants: Sequence[Entrant]) -> None:
        """Round by round, all entrants of one problem together."""
        problem, rounds = entrants[0].problem, 0
        while asked := [(one, setting) for one in entrants for setting in one.search.ask()]:
            rounds += 1
            trials = [(one, setting, self.trial(one, setting)) for one, setting in asked]
            wanted = [job for _, _, tried in trials for job in tried or []]
            log.info("%s, tuning, round %d: %d settings, %d runs",
                     problem.name, rounds, len(asked), len(wanted))  # fmt: skip
            self.jobs.launch(wanted)
            for one, setting, tried in trials:
                one.search.tell(
                    setting, None if tried is None else self.scores(one, setting, tried)
                )

    def trial(self, one: Entrant, setting: Setting) -> list[Job] | None:
        """A job a tuning seed; None where the setting cannot be run, such as a batch above the training set."""
        first, more = self.race.first_tuning_seed, one.problem.of_tuning
        try:
            return [
                self.jobs.job(f"tuning/{one.folder(setting, s)}", [*one.command(setting, s), *more])
                for s in range(first, first + one.problem.tuning.seeds)
            ]
        except InputError as error:
            log.info("%s, %s: left out: %s", one.problem.name, one.method, error)
            return None

    def scores(self, one: Entrant, setting: Setting, tried: Sequence[Job]) -> dict[str, Score]:
        """A score for each clock: the median time to each target, the hardest first, then the median final loss."""
        one.tried[setting] = outcomes = [self.outcome(one, setting, job) for job in tried]
        final = median(outcome.final for outcome in outcomes)
        hardest_first = list(reversed(one.problem.aims))
        return {
            clock: (final,)
            if clock == FINAL
            else (*(median(o.times[t][clock] for o in outcomes) for t in hardest_first), final)
            for clock in self.race.tuned_for
        }

    def outcome(self, one: Entrant, setting: Setting, job: Job) -> Outcome:
        """A tuning run as its folder has it; its seconds are its steps' alone on the machine."""
        summary = read_summary(job.folder)
        minimum, status = summary["minimum_loss"], summary["status"]
        rows = with_floor(read_metrics(job.folder / "metrics.csv"), minimum)
        if CLOCKS[1] in self.race.tuned_for:
            a_step = self.step_times.of(job.config, one.work(setting))
            rows["train_seconds"] = rows.step * a_step
        aims = one.problem.aims
        final = final_value(rows, aims[-1].column if aims else "test_loss", status)
        times = {target: first_time(rows, target) for target in aims}
        return Outcome(job.config.seed, status, final, minimum, times)
