"""From YAML files and overrides to one resolved configuration, by Hydra's compose API."""

import re
import traceback
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from nglab.errors import InputError
from nglab.settings.messages import BESIDE, near, nearest, unknown_key
from nglab.settings.nested import entries


def conf_dir() -> Path:
    """The folder of YAML files: the repository's, else the copy inside the installed package."""
    package = Path(__file__).parents[1]
    repository = package.parent / "conf"
    return repository if (repository / "config.yaml").is_file() else package / "conf"


@contextmanager
def aside() -> Iterator[None]:
    """Hydra as if nobody had begun with it; what was begun goes on afterwards."""
    kinds: tuple[type, ...] = (GlobalHydra, HydraConfig, VersionBase)
    before = {
        kind: Singleton._instances.pop(kind) for kind in kinds if kind in Singleton._instances
    }
    try:
        yield
    finally:
        for kind in kinds:
            Singleton._instances.pop(kind, None)
        Singleton._instances.update(before)


def compose(overrides: list[str], name: str = "config", keys: Collection[str] = ()) -> DictConfig:
    """`conf/<name>.yaml` under `overrides`, resolved; InputError for what cannot be composed.

    `keys`: what a message proposes beside the configuration's.
    """
    (cfg,) = compose_all([overrides], name, keys)
    return without_hydra(cfg)


def compose_all(
    jobs: Iterable[list[str]], name: str = "config", keys: Collection[str] = ()
) -> list[DictConfig]:
    """`conf/<name>.yaml` under each job's overrides, unresolved, Hydra's own section included."""
    with hydra.initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return [compose_one(job, name, keys) for job in jobs]


def compose_one(job: list[str], name: str, keys: Collection[str] = ()) -> DictConfig:
    try:
        with unforeseen():
            return hydra.compose(name, job, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(explain(error, job, name, keys)) from error


@contextmanager
def unforeseen() -> Iterator[None]:
    """InputError for what Hydra raises at input that it did not foresee; what it did is left for `explain`."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, InputError):
        raise
    except Exception as error:
        what = str(error).partition("\n")[0] or traceback.extract_tb(error.__traceback__)[-1].line
        raise InputError(
            f"Hydra refuses the command line: {type(error).__name__}: {what}"
        ) from error


def without_hydra(cfg: DictConfig) -> DictConfig:
    """`cfg` as a job gets it, without Hydra's section, whatever points into that resolved."""
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    try:
        OmegaConf.resolve(cfg)
    except OmegaConfBaseException as error:
        raise InputError(explain(error)) from error
    return cfg


def explain(
    error: Exception, job: Sequence[str] = (), name: str = "config", known: Collection[str] = ()
) -> str:
    """One line for what Hydra could not compose from `conf/<name>.yaml` under a job's overrides."""
    text = str(error)
    if isinstance(error.__cause__, InputError):  # of an object that Hydra made
        return str(error.__cause__)
    if isinstance(error, OverrideParseException):
        return unread(error.override)
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {text.splitlines()[0]}"
    if sweep := re.match(r"Ambiguous value for argument '(.+)'", text):
        return f"{sweep[1]}: several values; a sweep needs -m, a list needs brackets"
    if key := re.match(r"Could not (?:override|delete from config\.) ?'([^']+)'", text):
        return wrong_key(key[1], job, name, known)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: no such option; {near(option, error.options)}"
    return "; ".join(str(e).splitlines()[0] for e in (error, error.__cause__) if e and str(e))


def unread(override: str) -> str:
    """The message for an override that is not in Hydra's grammar."""
    key, equals, value = override.partition("=")
    if not (key and equals and value):
        return f"{override}: must be key=value"
    quotes = f"'{key}=\"{value}\"'"
    return f"{override}: cannot be read; a value with = # , ( or a space is quoted: {quotes}"


def wrong_key(key: str, job: Sequence[str], name: str, known: Collection[str] = ()) -> str:
    """The message for a key that the chosen options do not have; `known`: others that there are."""
    if is_group(key):
        option = next((w.partition("=")[2] for w in job if w.startswith(f"{key}=")), "OPTION")
        return f"{key}={option}: no group of {name}.yaml; to add it, +{key}={option}"
    choices = [override for override in job if chooses(override)]
    keys = list(dict.fromkeys([*known, *keys_of(choices, name)]))
    group = key.partition(".")[0]
    if nearest(key, [one for one in keys if one.startswith(f"{group}.")]):
        return unknown_key(key, keys)
    for option in options_beside(key, choices):  # to compose one takes a while: as many as it needs
        if key in keys_of([option], name):
            return f"{key}: not a key of the chosen {group}; {option} has it"
    return unknown_key(key, keys)


def chooses(override: str) -> bool:
    """Whether an override chooses an option of a group: `optimizer=sgd`, `optimizer/step=line`."""
    group = override.partition("=")[0]
    return "/" in group or is_group(group)


def is_group(key: str) -> bool:
    """Whether there is a folder of options of this name."""
    return bool(key) and key in GlobalHydra.instance().config_loader().list_groups("")


def options_beside(key: str, choices: Sequence[str]) -> list[str]:
    """`group=option` for every option of the group that the first part of `key` names."""
    group = key.partition(".")[0]
    options = GlobalHydra.instance().config_loader().get_group_options(group)
    return [f"{group}={option}" for option in options if f"{group}={option}" not in choices]


def keys_of(choices: Sequence[str], name: str) -> list[str]:
    """The dotted keys of the configuration that these choices give; none where they give none."""
    try:
        with unforeseen():
            nested = OmegaConf.to_container(hydra.compose(name, list(choices)))
    except (HydraException, OmegaConfBaseException, InputError):
        return []
    return [key for key, _ in entries(nested) if not set(BESIDE) & set(key.split("."))]
