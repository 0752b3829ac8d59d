"""`nglab run` as a Hydra application.

Before Hydra starts, `preflight` composes and checks every job, so that a sweep whose last job is
wrong stops before its first one writes anything.
"""

import logging
import sys
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryFile

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.runs.config import Config, MnistConfig, check, check_device
from nglab.runs.ownership import alone_in, earlier_status, finished
from nglab.settings.composing import compose_all, conf_dir, explain, without_hydra
from nglab.sweeps.launchers import job_folder, reported
from nglab.sweeps.shared_composing import composing_once

log = logging.getLogger(__name__)

HERE = ("hydra_plugins.nglab_launcher.Sequential", "hydra_plugins.nglab_launcher.Stacked")
"""The launchers that run their jobs in this process and leave finished ones alone."""


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
def train_job(cfg: DictConfig) -> None:
    """One job of `nglab run`."""
    from nglab.runs.run import run  # torch: seconds, and only here

    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    concurrent = settings.mode == RunMode.MULTIRUN and not one_at_a_time(settings.launcher._target_)
    with reported(), alone_in(folder):
        config = check(cfg)
        if config.train.checkpoint_every and finished(folder, config):
            log.info("%s: finished already", folder)
            return
        run(config, folder, concurrent=concurrent)


def one_at_a_time(launcher: str) -> bool:
    """Whether the jobs of a sweep run in this process, none beside another."""
    return launcher in HERE or launcher.endswith("BasicLauncher")


def run_command(arguments: list[str]) -> None:
    """`nglab run ARGUMENTS`: Hydra's whole command line, behind the pre-flight."""
    sys.argv = ["nglab run", *arguments]
    args = get_args_parser().parse_args(arguments)
    runs = not (args.help or args.hydra_help or args.cfg or args.info or args.shell_completion)
    with composing_once():
        # a primary configuration from elsewhere is for the jobs to check
        elsewhere = args.config_path or (args.config_dir and args.config_name)
        if runs and not (elsewhere or args.experimental_rerun):
            preflight(args)
        try:
            train_job()
        except HydraException as error:  # what only shows is composed for the first time here
            raise InputError(explain(error)) from error


def preflight(args: Namespace) -> None:
    """Compose and check every job of the command line; InputError at the first wrong one."""
    mode = "hydra.mode=MULTIRUN"
    multirun = args.multirun or mode in args.overrides
    if multirun and mode not in args.overrides:
        args.overrides.append(mode)  # as Hydra will
    jobs = expand(args.overrides) if multirun else [args.overrides]
    if args.config_dir:
        place = f"hydra.searchpath=['file://{Path(args.config_dir).resolve()}']"
        jobs = [[*job, place] for job in jobs]
    composed = compose_all(jobs, args.config_name or "config")
    folders = job_folders(composed, multirun)
    launcher = composed[0].hydra.launcher._target_
    configs = [check(without_hydra(cfg)) for cfg in composed]
    for folder, config in zip(folders, configs, strict=True):
        check_free(folder, config, goes_on=multirun and launcher in HERE)
    if not multirun or one_at_a_time(launcher):
        check_machine(configs)


def job_folders(composed: list[DictConfig], multirun: bool) -> list[Path]:
    """Every job gets a folder of its own, which can be made."""
    folders: list[Path] = []
    for number, cfg in enumerate(composed):
        OmegaConf.copy_cache(from_config=composed[0], to_config=cfg)  # one time of day for a sweep
        folder = job_folder(cfg, number if multirun else None)
        if folder in folders:
            raise InputError(f"hydra.sweep.subdir: several jobs of this sweep would share {folder}")
        folders.append(folder)
        check_folder(folder)
    return folders


def check_free(folder: Path, config: Config, goes_on: bool) -> None:
    """InputError where `folder` holds a run, be it of another configuration or one that cannot go on.

    A sweep that `goes_on` takes up in its folders what it left there; a run does so where it has checkpoints.
    """
    status = earlier_status(folder, config)
    if status is not None and not (goes_on or config.train.checkpoint_every):
        raise InputError(f"{folder} holds a run already ({status}): choose another folder")


def check_machine(configs: list[Config]) -> None:
    """The GPUs asked for are here, and so is MNIST."""
    for device, cuda_graph in {(config.device, config.train.cuda_graph) for config in configs}:
        check_device(device, cuda_graph)
    for root in {config.data.root for config in configs if isinstance(config.data, MnistConfig)}:
        from nglab.data.mnist_files import verify  # torch

        verify(root)


def expand(overrides: list[str]) -> list[list[str]]:
    """The overrides of every job of a sweep, as Hydra's basic sweeper expands them.

    Ranges that only another sweeper can draw from are left out: their jobs check themselves.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise InputError(explain(error)) from error
    for_hydra = [override.input_line or "" for override in parsed if override.is_hydra_override()]
    for_jobs = [
        override
        for override in parsed
        if not override.is_hydra_override()
        and (override.is_discrete_sweep() or not override.is_sweep_override())
    ]
    (jobs,) = BasicSweeper.split_arguments(for_jobs, max_batch_size=None)
    return [for_hydra + job for job in jobs]


def check_folder(folder: Path) -> None:
    """InputError where `folder` cannot be made."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        TemporaryFile(dir=nearest).close()  # nameless: nothing is left
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {nearest}: {error.strerror}") from error
