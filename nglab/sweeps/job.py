"""One job of `nglab run`: its folder is taken, then Hydra's files are written there, then it is trained."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, filter_overrides
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nglab.errors import InputError
from nglab.runs.folder import RecordWriter
from nglab.runs.full_disk import full_disk
from nglab.runs.ownership import alone_in, finished, may_begin, take
from nglab.runs.table import status_of
from nglab.settings.composing import explain, unforeseen
from nglab.settings.messages import demand
from nglab.sweeps.hydra_files import write_hydra_files
from nglab.sweeps.objective import outcome_of
from nglab.sweeps.shared_composing import as_given
from nglab.sweeps.workers import at_a_job

if TYPE_CHECKING:
    from nglab.runs.config import Config

log = logging.getLogger(__name__)

HERE = ("hydra_plugins.nglab_launcher.Sequential", "hydra_plugins.nglab_launcher.Stacked")
"""The launchers that run their jobs in this process, unless they are told to run them elsewhere."""


@dataclass(frozen=True)
class Job:
    """One job: its overrides, its configuration and its folder."""

    number: int
    overrides: tuple[str, ...]
    config: "Config"
    folder: Path
    compose: Callable[[], DictConfig]

    @property
    def composed(self) -> DictConfig:
        """Hydra's configuration of it, made anew, a hundred times the size of the rest, and in force from now on."""
        return self.compose()

    def __str__(self) -> str:
        return f"\t#{self.number} : {' '.join(filter_overrides(self.overrides))}"


class RunFailed(CompactHydraException):
    """A run raised. Its traceback is in the log already, so Hydra prints this one line."""


class Here(dict[Any, Any]):
    """What this process has made already. The processes of launchers, which do one job each, begin without."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Here, ()


class JobCallbacks(Callbacks):
    """Hydra's callbacks, the first of which takes a job's folder, in whatever process the job is started.

    Every launcher calls them around every job. Hydra itself leaves the folder alone, `shared_composing.hands_off`.
    What hinders a job before it is trained is raised by `train`: every launcher takes that for the job's own result,
    and goes on with the others.
    """

    def __init__(self, cfg: DictConfig | None = None) -> None:
        super().__init__(cfg)
        self.checked, self.jobs = Here(), Here()
        self.hindrance: Exception | None = None
        self.is_finished = False

    def check(self, composed: DictConfig) -> "Config":
        """The job's configuration, checked once whoever asks."""
        from nglab.runs.config import check  # torch: seconds

        words = composed.hydra.overrides
        key = (*as_given(words.hydra), *as_given(words.task))
        if key not in self.checked:
            with started_in(composed):
                self.checked[key] = check(composed)
        config: Config = self.checked[key]
        return config

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **more: Any) -> None:
        self.hindrance = None
        try:
            with reported():
                self.begin(self.check(config))
                if not self.is_finished:
                    write_hydra_files(config)
        except (InputError, RunFailed) as error:
            self.hindrance = error
        if self.begins:
            super().on_job_start(config, task_function=task_function, **more)
        else:
            close_logs()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **more: Any) -> None:
        if self.begins:
            super().on_job_end(config, job_return, **more)

    @property
    def begins(self) -> bool:
        """Whether the job in hand is to be trained: another's folder, and what is finished, are left alone."""
        return self.hindrance is None and not self.is_finished

    def begin(self, config: "Config") -> None:
        """Take the folder for the job in hand; InputError where it is another's or its run cannot go on."""
        self.in_hand, hydra = config, HydraConfig.get()
        folder, settings = Path(hydra.runtime.output_dir), config.described()
        may_begin(folder, settings, again=hydra.mode == RunMode.MULTIRUN)
        take(folder, settings)
        self.is_finished = finished(folder, settings)

    def train(self, _: DictConfig) -> float:
        """What Hydra calls its task: train the job in hand; what came out, for a sweeper."""
        from nglab.runs.run import run  # torch: seconds, and only here

        with at_a_job(), reported():
            if self.hindrance:
                raise self.hindrance
            hydra, config = HydraConfig.get(), self.in_hand
            folder = Path(hydra.runtime.output_dir)
            concurrent = hydra.mode == RunMode.MULTIRUN and not one_at_a_time(hydra.launcher)
            if self.is_finished:
                print(f"{folder}: finished already")
            else:
                with leaving_refusals([folder], [config]):
                    run(config, folder, concurrent=concurrent)
            return outcome_of(folder)


def own_logs() -> list[logging.FileHandler]:
    """The log files that Hydra has opened for a job."""
    return [h for h in logging.getLogger().handlers if isinstance(h, logging.FileHandler)]


def close_logs() -> None:
    """The log of a folder that is left alone is left alone too: a launcher may have something to say."""
    for handler in own_logs():
        logging.getLogger().removeHandler(handler)
        handler.close()


def one_at_a_time(launcher: DictConfig) -> bool:
    """Whether the jobs of a sweep run in this process, none beside another."""
    target = str(launcher._target_)
    return target.endswith("BasicLauncher") or (target in HERE and not submits(launcher))


def submits(launcher: DictConfig) -> bool:
    """Whether a launcher hands its jobs to submitit, which may run them on other machines."""
    return "submitit" in str(launcher._target_) or launcher.get("on", "local") != "local"


@contextmanager
def leaving_refusals(folders: Sequence[Path], configs: Sequence["Config"]) -> Iterator[None]:
    """Where a machine refuses jobs that have their folders, each leaves a result without rows that says why."""
    try:
        yield
    except InputError as error:
        for folder, config in zip(folders, configs, strict=True):
            leave_refusal(folder, config, str(error))
        raise


def leave_refusal(folder: Path, config: "Config", why: str) -> None:
    """So that the job is listed; a folder where something is left already, or another is at work, stays as it is."""
    from nglab.runs.run import columns  # torch

    with suppress(InputError), alone_in(folder):
        if status_of(folder) is None:
            record = RecordWriter(folder, {}, columns(config))
            record.start([])
            record.close("failed", note=why)


@contextmanager
def reported() -> Iterator[None]:
    """What a run raises as its user shall see it: wrong input by its message, all else in the log and by a line."""
    try:
        yield
    except (InputError, RunFailed):
        raise
    except Exception as error:
        if full := full_disk(error):
            log.error("%s: with room again, the same goes on", full)
            raise RunFailed(full) from error
        log.exception("the run failed")
        raise RunFailed(f"{type(error).__name__}: {error}") from error


def sweep_job(
    context: HydraContext, sweep: DictConfig, number: int, overrides: Sequence[str]
) -> Job:
    """Job `number` of a sweep, made once; raises InputError where it is wrong."""
    callbacks, key = cast(JobCallbacks, context.callbacks), (number, *overrides)
    if key not in callbacks.jobs:
        compose = partial(composed, context, sweep, number, overrides)
        cfg = compose()
        folder = Path(cfg.hydra.runtime.output_dir)
        same_sweep(sweep, cfg)
        callbacks.jobs[key] = Job(number, tuple(overrides), callbacks.check(cfg), folder, compose)
    job: Job = callbacks.jobs[key]
    return job


def same_sweep(sweep: DictConfig, job: DictConfig) -> None:
    """InputError where a file that one job adds chooses a launcher or a grid: they are of the sweep."""
    of_job, of_sweep = (cfg.hydra.runtime.choices["hydra/launcher"] for cfg in (job, sweep))
    right = f"hydra/launcher={of_sweep}, the sweep's; named on the command line it is that of all"
    demand(of_job == of_sweep, "hydra/launcher", of_job, right)
    of_job, of_sweep = (cfg.hydra.sweeper for cfg in (job, sweep))
    right = f"{of_sweep}, the sweep's; a file with a grid is no value of another grid"
    demand(of_job == of_sweep, "hydra.sweeper", of_job, right)


def composed(
    context: HydraContext, sweep: DictConfig, number: int, overrides: Sequence[str]
) -> DictConfig:
    with unforeseen():
        cfg = context.config_loader.load_sweep_config(sweep, list(overrides))
    job_folder(cfg, number)
    return cfg


def job_folder(cfg: DictConfig, number: int | None) -> Path:
    """Where Hydra will put job `number` of a sweep (None: a run of its own); `cfg` is in force from now on."""
    settings = cfg.hydra
    if number is not None:
        with open_dict(settings):
            settings.job.num, settings.job.id = number, str(number)
    keys = ["run.dir"] if number is None else ["sweep.dir", "sweep.subdir"]
    HydraConfig.instance().cfg = cast(Any, cfg)  # for ${hydra:job.num} and its like
    try:
        place = [OmegaConf.select(settings, key) for key in keys]
    except OmegaConfBaseException as error:
        raise InputError(explain(error)) from error
    for key, part in zip(keys, place, strict=True):
        demand(bool(part), f"hydra.{key}", part, "a folder; the current one is .")
    folder = Path(*place).absolute()
    with read_write(settings):
        settings.runtime.output_dir = str(folder)
    return folder


def started_in(composed: DictConfig) -> AbstractContextManager[None]:
    """In the folder that the command was started in, whatever folder Hydra has changed to for its job."""
    hydra = composed.hydra
    return chdir(hydra.runtime.cwd) if hydra.job.chdir else nullcontext()
