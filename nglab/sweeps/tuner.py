"""`hydra/sweeper=optuna`: jobs whose values Optuna chooses by what came out of those before.

Ask for trials, launch them, tell their outcome, until there are enough: three calls of Optuna. The jobs are those of
any sweep, trial i in the sweep's folder i, by whatever launcher. A sampler with a seed asks for the same again, so that
the same command goes on where it was stopped: what is finished is left alone, and told.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from warnings import catch_warnings, simplefilter

from annotated_types import Ge
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.runs.folder import whole
from nglab.runs.ownership import may_begin
from nglab.settings.building import value_of
from nglab.settings.fields import Count
from nglab.settings.messages import demand
from nglab.sweeps.job import Job, sweep_job
from nglab.sweeps.objective import Objective, outcome_of
from nglab.sweeps.preflight import asked_for
from nglab.sweeps.search_space import search_space
from nglab.sweeps.workers import passing_on

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

Seed = Annotated[int, Ge(0)] | None
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
        right = "a class of optuna.samplers, such as that of hydra/sweeper/sampler=tpe"
        demand(OmegaConf.is_dict(sampler) and "_target_" in sampler, SAMPLER, sampler, right)
        value_of(Seed, sampler.get("seed"), f"{SAMPLER}.seed")
        self.n_trials, self.n_jobs, self.objective = n_trials, n_jobs, objective
        self.settings, self.storage, self.study_name = sampler, storage, study_name
        self.folders: list[Path] = []

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Raises InputError, before any work, where a setting is wrong or there is nothing to choose."""
        self.context, self.cfg = hydra_context, config
        demand_optuna()
        self.words = asked_for(config)
        self.space = search_space(self.words, hydra_context.config_loader)
        if not self.space.distributions:
            such_as = "'optimizer.lr=tag(log,interval(1e-3,1))'"
            raise InputError(f"hydra/sweeper=optuna: nothing to choose; give a range, {such_as}")
        self.sampler()
        self.jobs_launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        with quiet():
            study = self.study()
            while batch := self.batch(study):
                for numbered in consecutive(batch):
                    self.launch(study, numbered)
        self.folders = [Path(trial.user_attrs["folder"]) for trial in complete(study)]
        self.conclude(study)

    def sampler(self, known: int = 0) -> "optuna.samplers.BaseSampler":
        """That of the settings; to go on with a study that has `known` trials one that draws others."""
        settings: Any = OmegaConf.to_container(self.settings, resolve=True)
        if settings.get("seed") is not None:
            settings["seed"] += known
        try:
            with quiet():
                return instantiate(settings)
        except HydraException as error:
            why = str(error.__cause__ or error).partition("\n")[0]
            raise InputError(f"{SAMPLER}: {settings['_target_']}: {why}") from error

    def study(self) -> "optuna.Study":
        """A new one, or the one of this name in the storage, which must be of the same sweep."""
        import optuna

        name = self.study_name or str(self.cfg.hydra.sweep.dir)
        try:
            study = optuna.create_study(
                storage=self.storage, study_name=name, sampler=None, load_if_exists=True
            )
        except Exception as error:  # of whatever database
            why = str(error).partition("\n")[0]
            right = "such as sqlite:///study.db"
            raise InputError(f"hydra.sweeper.storage={self.storage}: {why}; {right}") from error
        sweep = [*self.words, self.objective]
        if (other := study.user_attrs.get("sweep", sweep)) != sweep:
            of = f"holds a study of another sweep ({' '.join(other)}): choose another name"
            raise InputError(f"hydra.sweeper.study_name={name}: {self.storage} {of}")
        study.set_user_attr("sweep", sweep)
        study.sampler = self.sampler(len(study.trials))
        return study

    def batch(self, study: "optuna.Study") -> "Sequence[optuna.Trial | optuna.trial.FrozenTrial]":
        """The trials to launch next: those that a stopped command of this sweep left, then new ones."""
        from optuna.trial import TrialState

        here = Path(self.cfg.hydra.sweep.dir).absolute()
        left = [
            trial
            for trial in study.get_trials(states=(TrialState.RUNNING,))
            if Path(trial.user_attrs.get("folder", "")).is_relative_to(here)
        ]
        new = min(self.n_jobs, self.n_trials - len(complete(study)))
        return left[: self.n_jobs] or [self.ask(study) for _ in range(new)]

    def ask(self, study: "optuna.Study") -> "optuna.Trial":
        trial = study.ask(dict(self.space.distributions))
        trial.set_user_attr("folder", str(self.job(trial).folder))
        return trial

    def job(self, trial: "optuna.Trial | optuna.trial.FrozenTrial") -> Job:
        """InputError where what was chosen does not go together."""
        words = self.space.overrides(trial.params)
        return sweep_job(self.context, self.cfg, trial.number, words)

    def launch(
        self, study: "optuna.Study", trials: "Sequence[optuna.Trial | optuna.trial.FrozenTrial]"
    ) -> None:
        """Train them and tell what came out; raises what one of them raised, which is trained again the next time."""
        jobs = [self.job(trial) for trial in trials]
        for job in jobs:
            may_begin(job.folder, job.config.described(), again=True)
        OmegaConf.save(self.cfg, Path(self.cfg.hydra.sweep.dir) / "multirun.yaml")
        HydraConfig.instance().set_config(self.cfg)
        with passing_on([job.folder for job in jobs]):
            returns: Sequence[JobReturn] = self.jobs_launcher.launch(
                [list(job.overrides) for job in jobs], initial_job_idx=jobs[0].number
            )
        for job, done in zip(jobs, returns, strict=True):
            if done.status == JobStatus.COMPLETED:
                study.tell(job.number, outcome_of(job.folder, self.objective))
        for done in returns:
            _ = done.return_value

    def conclude(self, study: "optuna.Study") -> None:
        """Name the best trial, and those without an outcome; leave the best in a file."""
        best, trials = study.best_trial, complete(study)
        words = self.space.chosen_overrides(best.params)
        chosen = OverridesParser.create().parse_overrides(words)
        values = {override.get_key_element(): override.value() for override in chosen}
        with whole(Path(self.cfg.hydra.sweep.dir) / RESULTS) as partial:
            OmegaConf.save(
                {"name": "optuna", "best_params": values, "best_value": best.value}, partial
            )
        without = [f"#{trial.number}" for trial in trials if math.isinf(trial.value or 0.0)]
        kind = "diverged" if self.objective.endswith("loss") else "diverged or short of the floor"
        log.info(
            "best of %d trials: %s %.4g with %s, %s%s",
            len(trials),
            self.objective,
            best.value,
            " ".join(words),
            best.user_attrs["folder"],
            f"; {kind}: {' '.join(without)}" if without else "",
        )


SAMPLER = "hydra.sweeper.sampler"


def demand_optuna() -> None:
    """InputError where Optuna is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        right = 'pip install "nglab[tuning]"'
        raise InputError(f"hydra/sweeper=optuna: Optuna is not installed: {right}") from error


def complete(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    """The trials whose outcome has been told, in their order."""
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE,))


def consecutive(
    trials: "Sequence[optuna.Trial | optuna.trial.FrozenTrial]",
) -> "Iterator[list[optuna.Trial | optuna.trial.FrozenTrial]]":
    """In parts whose numbers follow one another, as launchers number jobs: others may share the study."""
    for _, part in groupby(enumerate(trials), lambda pair: pair[1].number - pair[0]):
        yield [trial for _, trial in part]


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's own report of each trial, and its warnings of what may change in it."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with catch_warnings():
            simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
