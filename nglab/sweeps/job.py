"""One job of `nglab run`: its folder is taken, then Hydra's files are written there, then it is trained."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import _save_config, filter_overrides
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nglab.errors import InputError
from nglab.runs.ownership import finished, may_begin, take
from nglab.sweeps.shared_composing import Kept

if TYPE_CHECKING:
    from nglab.runs.config import Config

log = logging.getLogger(__name__)

HERE = ("hydra_plugins.nglab_launcher.Sequential", "hydra_plugins.nglab_launcher.Stacked")
"""The launchers that run their jobs in this process and leave finished ones alone."""

HYDRA_FILES = ".hydra"
"""The folder, within a job's, of the configuration as Hydra composed it."""


@dataclass(frozen=True)
class Job:
    """One job: Hydra's configuration of it, nglab's, and its folder."""

    number: int
    overrides: Sequence[str]
    composed: DictConfig
    config: "Config"
    folder: Path

    def __str__(self) -> str:
        return f"\t#{self.number} : {' '.join(filter_overrides(self.overrides))}"


class RunFailed(CompactHydraException):
    """A run raised. Its traceback is in the log already, so Hydra prints this one line."""


class JobCallbacks(Callbacks):
    """Hydra's callbacks, the first of which takes a job's folder, in whatever process the job is started.

    Every launcher calls them around every job. Hydra itself leaves the folder alone, `shared_composing.hands_off`.
    """

    def __init__(self, cfg: DictConfig | None = None) -> None:
        super().__init__(cfg)
        self.checked = Kept()

    def check(self, composed: DictConfig) -> "Config":
        """The job's configuration without Hydra's section, checked once whoever asks."""
        from nglab.runs.config import check  # torch: seconds

        overrides = composed.hydra.overrides
        config: Config = self.checked.get(
            (*overrides.hydra, *overrides.task), lambda: check(without_hydra(composed))
        )
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

    def train(self, _: DictConfig) -> None:
        """What Hydra calls its task: train the job in hand."""
        from nglab.runs.run import run  # torch: seconds, and only here

        hydra, config = HydraConfig.get(), self.in_hand
        folder = Path(hydra.runtime.output_dir)
        concurrent = hydra.mode == RunMode.MULTIRUN and not one_at_a_time(hydra.launcher._target_)
        with reported():
            if finished(folder, config.described()):
                log.info("%s: finished already", folder)
            else:
                run(config, folder, concurrent=concurrent)


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
    except Exception as error:
        log.exception("the run failed")
        raise RunFailed(f"{type(error).__name__}: {error}") from error


def sweep_job(
    context: HydraContext, sweep: DictConfig, number: int, overrides: Sequence[str]
) -> Job:
    """Job `number` of a sweep; raises InputError where it is wrong."""
    composed = context.config_loader.load_sweep_config(sweep, list(overrides))
    folder = job_folder(composed, number)
    config = cast(JobCallbacks, context.callbacks).check(composed)
    return Job(number, overrides, composed, config, folder)


def job_folder(cfg: DictConfig, number: int | None) -> Path:
    """Where Hydra will put job `number` of a sweep (None: a run of its own)."""
    settings = cfg.hydra
    if number is not None:
        with open_dict(settings):
            settings.job.num, settings.job.id = number, str(number)
    HydraConfig.instance().set_config(cfg)  # for ${hydra:job.num} and its like
    try:
        place = (
            [settings.run.dir] if number is None else [settings.sweep.dir, settings.sweep.subdir]
        )
    except OmegaConfBaseException as error:
        raise InputError(str(error).splitlines()[0]) from error
    folder = Path(*place).absolute()
    with read_write(settings):
        settings.runtime.output_dir = str(folder)
    return folder


def without_hydra(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


def write_hydra_files(config: DictConfig) -> None:
    """`.hydra/`: the job's configuration as composed, its overrides, and Hydra's own section."""
    folder = Path(config.hydra.runtime.output_dir) / HYDRA_FILES
    own = cast(DictConfig, HydraConfig.instance().cfg)
    for cfg in (config, own):
        with read_write(cfg.hydra):
            cfg.hydra.output_subdir = HYDRA_FILES  # where the callbacks of others write too
    _save_config(without_hydra(config), "config.yaml", folder)
    _save_config(own, "hydra.yaml", folder)
    _save_config(config.hydra.overrides.task, "overrides.yaml", folder)
