"""What is checked of every job before the first one starts."""

from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import HydraContext
from omegaconf import DictConfig

from nglab.errors import InputError
from nglab.runs.device import check_device
from nglab.runs.outputs import check_folder
from nglab.sweeps.job import Job, one_at_a_time, sweep_job

if TYPE_CHECKING:
    from nglab.runs.config import Config


def check_jobs(context: HydraContext, cfg: DictConfig) -> list[Job]:
    """Every job of a sweep is right, and gets a folder of its own, which can be made."""
    params = cfg.hydra.sweeper.get("params") or {}
    asked = [*(f"{key}={value}" for key, value in params.items()), *cfg.hydra.overrides.task]
    jobs: list[Job] = []
    folders: set[Path] = set()
    for number, overrides in enumerate(expand(asked, context.config_loader)):
        job = sweep_job(context, cfg, number, overrides)
        if job.folder in folders:
            raise InputError(
                f"hydra.sweep.subdir: several jobs of this sweep would share {job.folder}"
            )
        check_folder(job.folder)
        folders.add(job.folder)
        jobs.append(job)
    if one_at_a_time(cfg.hydra.launcher._target_):
        check_machine([job.config for job in jobs])
    return jobs


def expand(overrides: list[str], loader: ConfigLoader | None = None) -> list[list[str]]:
    """The overrides of every job of a sweep, as Hydra's basic sweeper expands them.

    Ranges that only another sweeper can draw from are left out: their jobs check themselves.
    """
    parsed = OverridesParser.create(loader).parse_overrides(overrides)
    known = [o for o in parsed if o.is_discrete_sweep() or not o.is_sweep_override()]
    (jobs,) = BasicSweeper.split_arguments(known, max_batch_size=None)
    return jobs


def check_machine(configs: list["Config"]) -> None:
    """The GPUs asked for are here, and so are the files of the data."""
    for device, cuda_graph in {(config.device, config.train.cuda_graph) for config in configs}:
        check_device(device, cuda_graph)
    for data in {config.data for config in configs}:
        data.verify()
