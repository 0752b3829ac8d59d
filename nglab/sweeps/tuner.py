"""`hydra/sweeper=optuna`: jobs whose values Optuna chooses by what came out of those before.

Ask for trials, launch them, tell their outcome, until there are enough: three calls of Optuna. The jobs are those of
any sweep, trial i in the sweep's folder i, by whatever launcher. A sampler with a seed asks for the same again, so that
the same command goes on where it was stopped: what is finished is told, and not trained again.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.runs.folder import whole
from nglab.runs.ownership import finished, may_begin
from nglab.settings.building import value_of
from nglab.settings.fields import Count
from nglab.sweeps.job import Job, sweep_job
from nglab.sweeps.objective import Objective, outcome_of
from nglab.sweeps.outcomes import raise_error
from nglab.sweeps.preflight import asked_for
from nglab.sweeps.search_space import search_space
from nglab.sweeps.study import (
    FOLDER,
    complete,
    demand_optuna,
    left_in,
    open_study,
    quiet,
    sampler_of,
)
from nglab.sweeps.workers import passing_on

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger(__name__)

OPTIONS = {
    "n_trials": Count,
    "n_jobs": Count,
    "objective": Objective,
    "storage": str | None,
    "study_name": str | None,
}
"""What the options of `optuna` must be."""

RESULTS = "optimization_results.yaml"
"""The best trial, as Hydra's sweepers leave it."""


class Optuna(Sweeper):
    """`n_trials` trials, `n_jobs` of them at a time, which the launcher may train beside one another or as one.

    The sampler, a class of `optuna.samplers` by `_target_`, makes `objective` small; a diverged run's is infinite. A
    `storage` keeps the study, of the name `study_name` or that of the sweep's folder: a database's URL.
    """

    def __init__(
        self,
        n_trials: int,
        n_jobs: int,
        objective: Objective,
        sampler: DictConfig,
        storage: str | None,
        study_name: str | None,
        params: DictConfig | None,
    ) -> None:
        given = {
            "n_trials": n_trials,
            "n_jobs": n_jobs,
            "objective": objective,
            "storage": storage,
            "study_name": study_name,
        }
        for key, value in given.items():
            value_of(OPTIONS[key], value, f"hydra.sweeper.{key}")
        self.n_trials, self.n_jobs, self.objective = n_trials, n_jobs, objective
        self.sampler, self.storage, self.study_name = sampler, storage, study_name
        self.folders: list[Path] = []

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Raises InputError, before any work, where a setting is wrong or there is nothing to choose."""
        demand_optuna()
        sampler_of(self.sampler)
        self.context, self.cfg = hydra_context, config
        self.place = Path(config.hydra.sweep.dir).absolute()
        self.words = asked_for(config)
        self.space = search_space(self.words, hydra_context.config_loader)
        if not self.space.distributions:
            such_as = "'optimizer.lr=tag(log,interval(1e-3,1))'"
            raise InputError(f"hydra/sweeper=optuna: nothing to choose; give a range, {such_as}")
        self.jobs_launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        name = self.study_name or str(self.cfg.hydra.sweep.dir)
        with quiet():
            study = open_study(self.storage, name, [*self.words, self.objective], self.sampler)
            while batch := self.batch(study):
                self.launch(study, batch)
        self.folders = [Path(trial.user_attrs[FOLDER]) for trial in complete(study)]
        self.conclude(study)

    def batch(self, study: "Study") -> list[Job]:
        """The jobs of the trials that come next: those that a stopped command left, then new ones."""
        if left := left_in(study, self.place):
            return [self.job(trial.number, trial.params) for trial in left[: self.n_jobs]]
        return [
            self.ask(study) for _ in range(min(self.n_jobs, self.n_trials - len(complete(study))))
        ]

    def ask(self, study: "Study") -> Job:
        trial = study.ask(dict(self.space.distributions))
        job = self.job(trial.number, trial.params)
        trial.set_user_attr(FOLDER, str(job.folder))
        return job

    def job(self, number: int, chosen: dict[str, object]) -> Job:
        """InputError where what was chosen does not go together."""
        return sweep_job(self.context, self.cfg, number, self.space.overrides(chosen))

    def launch(self, study: "Study", jobs: Sequence[Job]) -> None:
        """Train the jobs that are not finished and tell what came out of all.

        Raises what one of them raised: its trial is not told, and trained again by the same command.
        """
        for job in jobs:
            may_begin(job.folder, job.config.described(), again=True)
        OmegaConf.save(self.cfg, self.place / "multirun.yaml")
        left = [job for job in jobs if not is_finished(job)]
        returns = [done for part in consecutive(left) for done in self.train(part)]
        for job in filter(is_finished, jobs):
            study.tell(job.number, outcome_of(job.folder, self.objective))
        for done in returns:
            raise_error(done)

    def train(self, jobs: Sequence[Job]) -> Sequence[JobReturn]:
        HydraConfig.instance().set_config(self.cfg)
        words = [list(job.overrides) for job in jobs]
        with passing_on([job.folder for job in jobs]):
            return self.jobs_launcher.launch(words, initial_job_idx=jobs[0].number)

    def conclude(self, study: "Study") -> None:
        """Name the best trial, and those without an outcome; leave the best in a file."""
        best, trials = study.best_trial, complete(study)
        words = self.space.chosen_overrides(best.params)
        chosen = OverridesParser.create().parse_overrides(words)
        values = {override.get_key_element(): override.value() for override in chosen}
        results = {"name": "optuna", "best_params": values, "best_value": best.value}
        with whole(self.place / RESULTS) as partial:
            OmegaConf.save(OmegaConf.create(results), partial)
        without = [f"#{trial.number}" for trial in trials if math.isinf(trial.value or 0.0)]
        kind = "diverged" if self.objective.endswith("loss") else "diverged or short of the floor"
        log.info(
            "best of %d trials: %s %.4g with %s, %s%s",
            len(trials),
            self.objective,
            best.value,
            " ".join(words),
            best.user_attrs[FOLDER],
            f"; {kind}: {' '.join(without)}" if without else "",
        )


def is_finished(job: Job) -> bool:
    return finished(job.folder, job.config.described())


def consecutive(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """In parts whose numbers follow one another, as launchers number them."""
    for _, part in groupby(enumerate(jobs), lambda pair: pair[1].number - pair[0]):
        yield [job for _, job in part]
