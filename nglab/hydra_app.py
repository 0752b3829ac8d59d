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
from hydra.errors import CompactHydraException, HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nglab.config import (
    Config,
    MnistConfig,
    check,
    check_device,
    compose_all,
    conf_dir,
    explain,
    without_hydra,
)
from nglab.errors import InputError

log = logging.getLogger(__name__)


class RunFailed(CompactHydraException):
    """A run raised. Its traceback is in the log already, so Hydra prints this one line."""


@hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
def train_job(cfg: DictConfig) -> None:
    """One job of `nglab run`. SystemExit passes Hydra, which turns all else into status 1."""
    from nglab.run import run  # torch: seconds, and only here

    try:
        config = check(cfg)
        check_device(config.device)
        run(config, Path(HydraConfig.get().runtime.output_dir))
    except InputError as error:
        print(f"nglab: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        log.exception("the run failed")
        raise RunFailed(f"{type(error).__name__}: {error}") from error


def run_command(arguments: list[str]) -> None:
    """`nglab run ARGUMENTS`: Hydra's whole command line, behind the pre-flight."""
    sys.argv = ["nglab run", *arguments]
    args = get_args_parser().parse_args(arguments)
    runs = not (args.help or args.hydra_help or args.cfg or args.info or args.shell_completion)
    if runs and not (args.config_path or args.experimental_rerun):
        preflight(args)
    try:
        train_job()
    except HydraException as error:  # what only shows is composed for the first time here
        raise InputError(explain(error)) from error


def preflight(args: Namespace) -> None:
    """Compose and check every job of the command line; InputError at the first wrong one."""
    multirun = args.multirun or "hydra.mode=MULTIRUN" in args.overrides
    jobs = expand(args.overrides) if multirun else [args.overrides]
    if args.config_dir:
        place = f"hydra.searchpath=['file://{Path(args.config_dir).resolve()}']"
        jobs = [[*job, place] for job in jobs]
    composed = compose_all(jobs, args.config_name or "config")
    check_folders(composed, multirun)
    runs_here = composed[0].hydra.launcher._target_.endswith("BasicLauncher")
    configs = [check(without_hydra(cfg)) for cfg in composed]
    if runs_here:
        check_machine(configs)


def check_folders(composed: list[DictConfig], multirun: bool) -> None:
    """Every job gets a folder of its own, which can be made and holds no result."""
    folders: set[Path] = set()
    for number, cfg in enumerate(composed):
        OmegaConf.copy_cache(from_config=composed[0], to_config=cfg)  # one time of day for a sweep
        folder = job_folder(cfg, number if multirun else None)
        if folder in folders:
            raise InputError(f"hydra.sweep.subdir: several jobs of this sweep would share {folder}")
        folders.add(folder)
        check_folder(folder)


def check_machine(configs: list[Config]) -> None:
    """The GPUs asked for are here, and so is MNIST."""
    for device in {config.device for config in configs}:
        check_device(device)
    for root in {config.data.root for config in configs if isinstance(config.data, MnistConfig)}:
        from nglab.data.mnist import verify  # torch

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


def check_folder(folder: Path) -> None:
    if (folder / "metrics.csv").exists():
        raise InputError(f"{folder} holds a run already (metrics.csv): choose another folder")
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        TemporaryFile(dir=nearest).close()  # nameless: nothing is left
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {nearest}: {error.strerror}") from error
