"""One job of `nglab run`: its folder is taken, then Hydra's files are written there, then it is trained."""

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import filter_overrides
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nglab.errors import InputError
from nglab.runs.full_disk import full_disk
from nglab.runs.ownership import finished, may_begin, take
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
"""The launchers that run their jobs in this process and leave finished ones alone."""


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
    """

    def __init__(self, cfg: DictConfig | None = None) -> None:
        super().__init__(cfg)
        self.checked, self.jobs = Here(), Here()

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
        with reported():
            self.begin(self.check(config))
            write_hydra_files(config)
        super().on_job_start(config, task_function=task_function, **more)

    def begin(self, config: "Config") -> None:
        """Take the folder for the job in hand; InputError where it is another's or its run cannot go on."""
        self.in_hand, hydra = config, HydraConfig.get()
        folder, settings = Path(hydra.runtime.output_dir), config.described()
        may_begin(folder, settings, again=hydra.mode == RunMode.MULTIRUN)
        take(folder, settings)

    def train(self, _: DictConfig) -> float:
        """What Hydra calls its task: train the job in hand; what came out, for a sweeper."""
        from nglab.runs.run import run  # torch: seconds, and only here

        hydra, config = HydraConfig.get(), self.in_hand
        folder = Path(hydra.runtime.output_dir)
        concurrent = hydra.mode == RunMode.MULTIRUN and not one_at_a_time(hydra.launcher._target_)
        with at_a_job(), reported():
            if finished(folder, config.described()):
                log.info("%s: finished already", folder)
            else:
                run(config, folder, concurrent=concurrent)
            return outcome_of(folder)


def one_at_a_time(launcher: str) -> bool:
    """Whether the jobs of a sweep run in this process, none beside another."""
    return launcher in HERE or launcher.endswith("BasicLauncher")


@contextmanager
def reported() -> Iterator[None]:
    """What a run raises as its user shall see it. SystemExit passes Hydra, which turns all else into status 1."""
    try:
        yield
    except InputError as error:
        print(f"nglab: {error}", file=sys.stderr)
        sys.exit(2)
    except RunFailed:
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
