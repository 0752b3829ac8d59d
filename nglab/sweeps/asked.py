"""Jobs of `nglab run` that a program asks for: composed and checked as those of a sweep, and run like them.

with asking(folder) as jobs:
    wanted = [jobs.job("sgd", ["optimizer=sgd"]), jobs.job("ngd", ["optimizer=ngd"])]
    jobs.launch(wanted)
"""

import logging
from argparse import Namespace
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path

from hydra import version
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from nglab.errors import InputError
from nglab.runs.outputs import check_folder
from nglab.runs.ownership import ForeignRun, alone_in, finished, may_begin, standing
from nglab.settings.composing import compose_one, explain, without_hydra
from nglab.settings.dialect import quoted
from nglab.sweeps.application import hydra_for
from nglab.sweeps.job import Job, JobCallbacks, submits, sweep_job
from nglab.sweeps.outcomes import raise_error
from nglab.sweeps.preflight import check_choices, check_machine
from nglab.sweeps.workers import passing_on

log = logging.getLogger(__name__)

QUIET = ["hydra.job_logging.root.handlers=[file]", "hydra.hydra_logging.root.handlers=[]"]
"""A job's log goes to its folder alone, and the launcher's nowhere."""


class Asked:
    """Jobs in folders below `folder`, by the launcher that `words`, overrides of Hydra's own section, choose."""

    def __init__(self, hydra: Hydra, folder: Path, words: Sequence[str]) -> None:
        check_choices(words)
        self.folder, self.words = folder, [*QUIET, *words]
        self.said: set[str] = set()
        place = [f"hydra.sweep.dir={quoted(folder)}", "hydra.mode=MULTIRUN"]
        try:
            self.sweep = hydra.compose_config("config", [*self.words, *place], RunMode.MULTIRUN)
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(explain(error, self.words)) from error
        self.callbacks = JobCallbacks(self.sweep)
        self.context = HydraContext(hydra.config_loader, self.callbacks)
        HydraConfig.instance().set_config(self.sweep)

    def job(self, place: str, overrides: Sequence[str]) -> Job:
        """The job of these overrides, in `folder/place`; InputError where one of them is wrong.

        Where another's run lies there, it is left alone and named, and this one's place is `place-2`, or `place-3`…
        """
        places = chain([place], (f"{place}-{number}" for number in count(2)))
        jobs = (self.job_at(place, overrides) for place in places)
        return next(job for job in jobs if self.is_free(job))

    def is_free(self, job: Job) -> bool:
        """Whether the job's folder is no other run's; where it is, that is said once."""
        try:
            standing(job.folder, job.config.described())
        except ForeignRun as error:
            if error.held not in self.said:
                self.said.add(error.held)
                log.warning("%s: left alone; this one is trained beside it", error.held)
            return False
        return True

    def job_at(self, place: str, overrides: Sequence[str]) -> Job:
        words = [*overrides, f"hydra.sweep.subdir={quoted(place)}"]
        try:
            return sweep_job(self.context, self.sweep, 0, words)
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(explain(error, words)) from error

    def launch(self, jobs: Sequence[Job]) -> None:
        """Run those jobs that are not finished; raises what one of them raised."""
        left = unfinished(jobs, here=not submits(self.sweep.hydra.launcher))
        if not left:
            return
        HydraConfig.instance().set_config(self.sweep)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=self.callbacks.train, config=self.sweep
        )
        with passing_on([job.folder for job in left]):
            returns = launcher.launch([list(job.overrides) for job in left], initial_job_idx=0)
        for done in returns:
            raise_error(done)


def unfinished(jobs: Sequence[Job], here: bool = True) -> list[Job]:
    """InputError where one's folder is another's or, of what runs `here`, the data or the GPU is not here."""
    left = [job for job in jobs if not finished(job.folder, job.config.described())]
    for job in left:
        may_begin(job.folder, job.config.described(), again=True)
    if here:
        check_machine([job.config for job in left])
    return left


@contextmanager
def asking(
    folder: Path, words: Sequence[str] = (), config_dir: str | None = None
) -> Iterator[Asked]:
    """Jobs below `folder`, which is this process's meanwhile; options also come from `config_dir`."""
    check_folder(folder.absolute())
    version.setbase("1.3")
    hydra = hydra_for(Namespace(config_path=None, config_dir=config_dir))
    try:
        with making(folder), alone_in(folder):
            yield Asked(hydra, folder.absolute(), words)
    finally:
        GlobalHydra.instance().clear()


@contextmanager
def making(folder: Path) -> Iterator[None]:
    """Make `folder`, and unmake it where it was not there and InputError leaves it empty."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except InputError:
        with suppress(OSError):  # it holds something
            for path in made:
                path.rmdir()
        raise


def compose_beside(
    overrides: list[str], name: str, config_dir: str | None = None, keys: Collection[str] = ()
) -> DictConfig:
    """As `compose`; options also come from `config_dir`."""
    hydra_for(Namespace(config_path=None, config_dir=config_dir))
    try:
        return without_hydra(compose_one(overrides, name, keys))
    finally:
        GlobalHydra.instance().clear()
