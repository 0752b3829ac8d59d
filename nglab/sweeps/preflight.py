"""What is checked of every job before the first one starts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.runs.device import check_device
from nglab.runs.outputs import check_folder
from nglab.settings.messages import demand
from nglab.sweeps.job import Job, one_at_a_time, sweep_job
from nglab.sweeps.search_space import at_end, is_numeric
from nglab.sweeps.shared_composing import as_given

if TYPE_CHECKING:
    from nglab.runs.config import Config


def check_jobs(context: HydraContext, cfg: DictConfig) -> list[Job]:
    """Every job of a sweep is right, and gets a folder of its own, which can be made; the jobs, where they are known.

    Of a sweeper that chooses its jobs as it goes, those at both ends of its ranges are looked at.
    """
    jobs: list[Job] = []
    folders: set[Path] = set()
    for number, overrides in enumerate(
        expand(asked_for(cfg), context.config_loader, is_basic(cfg))
    ):
        job = sweep_job(context, cfg, number, overrides)
        if job.folder in folders:
            raise InputError(
                f"hydra.sweep.subdir: several jobs of this sweep would share {job.folder}"
            )
        check_folder(job.folder)
        folders.add(job.folder)
        jobs.append(job)
    if one_at_a_time(cfg.hydra.launcher):
        check_machine([job.config for job in jobs])
    return jobs if is_basic(cfg) else []


def asked_for(cfg: DictConfig) -> list[str]:
    """The overrides of a sweep: those of its files, then those of the command line."""
    params = cfg.hydra.sweeper.get("params") or {}
    right = "a mapping of keys to values, such as {seed: '0,1'}"
    demand(OmegaConf.is_dict(params) or params == {}, "hydra.sweeper.params", params, right)
    words = [f"{key}={value}" for key, value in params.items()]
    return [*words, *as_given(cfg.hydra.overrides.task)]


def is_basic(cfg: DictConfig) -> bool:
    """Whether the sweeper is Hydra's own."""
    return str(cfg.hydra.sweeper._target_).endswith(BasicSweeper.__name__)


def expand(
    overrides: list[str], loader: ConfigLoader | None = None, basic: bool = False
) -> list[list[str]]:
    """The overrides of every job of a sweep, as Hydra's basic sweeper expands them.

    Intervals, from which only another sweeper can draw, are refused where it is the `basic` one that will; for another
    one the jobs are those where every range of numbers is at its least, and at its greatest.
    """
    parsed = OverridesParser.create(loader).parse_overrides(overrides)
    for o in parsed:
        if o.is_discrete_sweep() and not any(True for _ in o.sweep_string_iterator()):
            raise InputError(f"{o.input_line}: no value; a sweep needs one or more")
        if o.is_interval_sweep() and basic:
            right = f"give values, such as {o.key_or_group}=1,2,3, or choose hydra/sweeper=optuna"
            raise InputError(f"{o.input_line}: Hydra's own sweeper draws from no interval; {right}")
    if basic or not any(map(is_numeric, parsed)):
        return split(parsed)
    return [job for end in (0, 1) for job in split([at_end(o, end) for o in parsed])]


def split(overrides: list[Override]) -> list[list[str]]:
    """Every combination of their values."""
    (jobs,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return jobs


ALONE = ("hydra/launcher", "hydra/sweeper")
"""The groups of Hydra's own of which there is one option; of its callbacks there may be a list."""


def check_choices(overrides: Sequence[str]) -> None:
    """InputError where two options of one group of Hydra's own, such as two launchers, are named."""
    chosen: dict[str, str] = {}
    for word in overrides:
        group, _, option = word.lstrip("+").partition("=")
        if group.startswith("hydra/") and chosen.setdefault(group, word) != word:
            raise InputError(f"{word}: {chosen[group]} is named already: give one of them")
        if group in ALONE and set(option) & set("[,("):
            raise InputError(f"{word}: several options: give one of them")


def check_machine(configs: list["Config"]) -> None:
    """The GPUs asked for are here, and so are the files of the data."""
    for device, cuda_graph in {(config.device, config.train.cuda_graph) for config in configs}:
        check_device(device, cuda_graph)
    for data in {config.data for config in configs}:
        data.verify()
