"""`nglab run` as a Hydra application: Hydra's whole command line, before which every job is composed and checked.

A sweep whose last job is wrong stops before its first one writes anything.
"""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from typing import Any, cast

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import run_job
from hydra.errors import HydraException
from hydra.main import _get_rerun_conf
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nglab.errors import InputError
from nglab.runs.outputs import check_folder
from nglab.runs.ownership import alone_in, may_begin
from nglab.settings.composing import conf_dir, explain, unforeseen
from nglab.sweeps.job import HERE, JobCallbacks, RunFailed, job_folder, one_at_a_time
from nglab.sweeps.outcomes import raise_error
from nglab.sweeps.preflight import check_choices, check_jobs, check_machine, is_basic
from nglab.sweeps.shared_composing import SharedConfigLoader, as_given
from nglab.sweeps.workers import passing_on


def run_command(arguments: list[str]) -> list[Path]:
    """`nglab run ARGUMENTS`; the folders of the runs, of a sweep in the order of its jobs."""
    sys.argv = ["nglab run", *arguments]
    version.setbase("1.3")
    parser = get_args_parser()
    args = parser.parse_intermixed_args(arguments)
    try:
        return obey(args, parser) if args.experimental_rerun is None else rerun(args)
    except RunFailed as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain(error, args.overrides, args.config_name or "config")) from error
    finally:
        GlobalHydra.instance().clear()


def obey(args: Namespace, parser: ArgumentParser) -> list[Path]:
    """Do the one thing that the command line asks for; the folders where it is to train."""
    asked = [args.run, args.multirun, args.cfg, args.info, args.shell_completion]
    if sum(map(bool, asked)) > 1:
        raise InputError("give only one of --run, --multirun, --cfg, --info, --shell-completion")
    if args.resolve and not (args.cfg or args.help):
        raise InputError("--resolve: only with --cfg or --help")
    check_choices(args.overrides)
    hydra, name = hydra_for(args), args.config_name or "config"
    if args.help or args.hydra_help or args.cfg or args.shell_completion or args.info:
        with unforeseen():
            show(hydra, name, parser, args)
        return []
    if args.multirun or hydra.get_mode(name, args.overrides) == RunMode.MULTIRUN:
        return sweep(hydra, name, [*args.overrides, "hydra.mode=MULTIRUN"])
    return run_one(hydra, name, [*args.overrides, "hydra.mode=RUN"])


def show(hydra: Hydra, name: str, parser: ArgumentParser, args: Namespace) -> None:
    """What is not a run."""
    if args.help:
        hydra.app_help(name, parser, args)
    elif args.hydra_help:
        hydra.hydra_help(name, parser, args)
    elif args.cfg:
        show_cfg(hydra, name, args)
    elif args.shell_completion:
        hydra.shell_completion(name, args.overrides)
    else:
        hydra.show_info(args.info, name, args.overrides)


def show_cfg(hydra: Hydra, name: str, args: Namespace) -> None:
    """Show the configuration; a wrong one is shown too, and then refused."""
    cfg = hydra.compose_config(name, args.overrides, RunMode.RUN)
    if args.package and OmegaConf.select(cfg, args.package) is None:
        raise InputError(f"--package={args.package}: no such part of the configuration")
    hydra.show_cfg(name, args.overrides, args.cfg, args.package, args.resolve)
    if args.cfg != "hydra":
        JobCallbacks().check(cfg)


class Application(Hydra):
    """Hydra, whose help says what every key means."""

    def compose_config(self, *arguments: Any, **more: Any) -> DictConfig:
        with unforeseen():
            return super().compose_config(*arguments, **more)

    def get_help(
        self, help_cfg: DictConfig, cfg: DictConfig, args_parser: ArgumentParser, resolve: bool
    ) -> str:
        """As Hydra's; `$KEYS` in the template are the keys of `cfg`, of a run, with their values and meanings."""
        if "$KEYS" not in help_cfg.template:
            return str(super().get_help(help_cfg, cfg, args_parser, resolve))
        from nglab.runs.config import Config  # torch: seconds
        from nglab.settings.tables import as_text, rows

        values = cast(dict[str, Any], OmegaConf.to_container(cfg))
        return Template(help_cfg.template).substitute(
            APP_CONFIG_GROUPS=self.format_config_groups(
                lambda group: group.partition("/")[0] in values
            ),
            KEYS=as_text(list(rows(Config, values))),
        )


def hydra_for(args: Namespace) -> Hydra:
    """Hydra with the folders where configurations are looked for; what lies there is importable by `_target_`.

    `--config-dir` comes first: an option there stands before one of nglab's that has its name.
    """
    search_path = create_config_search_path(main_folder(args.config_path))
    if args.config_dir is not None:
        folder = Path(args.config_dir).absolute()
        if not folder.is_dir():
            raise InputError(f"--config-dir={args.config_dir}: there is no such folder")
        anchor = SearchPathQuery(provider="main")
        search_path.prepend("command-line", f"file://{folder}", anchor)
    if args.config_dir or args.config_path:
        make_importable(Path.cwd(), *(Path(p) for p in (args.config_dir, args.config_path) if p))
    hydra = Application("nglab", SharedConfigLoader(search_path))
    GlobalHydra.instance().initialize(hydra)
    return hydra


def main_folder(config_path: str | None) -> str:
    """Where the primary configuration lies: nglab's own, or elsewhere."""
    if config_path is None or "://" in config_path:
        return config_path or str(conf_dir())
    return str(Path(config_path).absolute())


def make_importable(*folders: Path) -> None:
    """For this process and for those that launchers start."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    new = [str(folder.absolute()) for folder in folders if folder.is_dir()]
    sys.path += [folder for folder in new if folder not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, dict.fromkeys([*before, *new])))


def run_one(hydra: Hydra, name: str, overrides: list[str]) -> list[Path]:
    cfg = hydra.compose_config(name, overrides, RunMode.RUN, with_log_configuration=True)
    callbacks = JobCallbacks(cfg)
    folder = job_folder(cfg, None)
    config = callbacks.check(cfg)
    check_folder(folder)
    may_begin(folder, config.described(), again=False)
    check_machine([config])
    callbacks.on_run_start(config=cfg, config_name=name)
    context = HydraContext(hydra.config_loader, callbacks)
    done = run_job(callbacks.train, cfg, "hydra.run.dir", None, context)
    callbacks.on_run_end(config=cfg, config_name=name, job_return=done)
    raise_error(done)
    return [folder]


def sweep(hydra: Hydra, name: str, overrides: list[str]) -> list[Path]:
    cfg = hydra.compose_config(name, overrides, RunMode.MULTIRUN, with_log_configuration=True)
    callbacks = JobCallbacks(cfg)
    context = HydraContext(hydra.config_loader, callbacks)
    HydraConfig.instance().set_config(cfg)
    place = Path(cfg.hydra.sweep.dir)  # with one time of day for all jobs
    jobs = check_jobs(context, cfg)
    HydraConfig.instance().set_config(cfg)
    sweeper = Plugins.instance().instantiate_sweeper(
        config=cfg, hydra_context=context, task_function=callbacks.train
    )
    if is_basic(cfg):  # all of whose jobs have been composed; its class has been loaded twice
        sweeper.validate_batch_is_legal = lambda batch: None  # type: ignore[method-assign]
    place.mkdir(parents=True, exist_ok=True)
    with alone_in(place):
        for job in jobs:
            may_begin(job.folder, job.config.described(), again=True)
        callbacks.on_multirun_start(config=cfg, config_name=name)
        task_overrides = as_given(cfg.hydra.overrides.task)
        with passing_on([job.folder for job in jobs]), in_a_line(cfg.hydra.launcher):
            sweeper.sweep(arguments=task_overrides)
        callbacks.on_multirun_end(config=cfg, config_name=name)
    return getattr(sweeper, "folders", [job.folder for job in jobs])


@contextmanager
def in_a_line(launcher: DictConfig) -> Iterator[None]:
    """What a launcher of others raises, such as that a worker of its was killed, as the failure of the sweep."""
    try:
        yield
    except (InputError, HydraException, OmegaConfBaseException):
        raise
    except Exception as error:
        if one_at_a_time(launcher) or launcher._target_ in HERE:
            raise
        what = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise RunFailed(f"{what} (of {launcher._target_}); the same again goes on") from error


def rerun(args: Namespace) -> list[Path]:
    """The job of a configuration that Hydra's PickleJobInfoCallback has saved, in its folder of then."""
    try:
        cfg = _get_rerun_conf(args.experimental_rerun, args.overrides)
    except ValueError as error:
        raise InputError(str(error)) from error
    from nglab.runs.config import check  # torch: seconds

    callbacks = JobCallbacks()
    callbacks.begin(check(cfg))
    callbacks.train(cfg)
    return [Path(HydraConfig.get().runtime.output_dir)]
