"""Hydra composes a job from its files in some 25 ms; jobs that differ in values alone are composed once and varied.

Nor does Hydra write into a job's folder: that is for `nglab.sweeps.job`, once the folder is the job's own.
"""

import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict


class Kept:
    """What has been made, by key. Each caller gets a copy, since callers change theirs; an error is not kept.

    In the process of a launcher, which does one job, nothing is kept.
    """

    def __init__(self, keeps: bool = True) -> None:
        self.keeps = keeps
        self.made: dict[tuple[object, ...], bytes] = {}

    def get(self, key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        if not self.keeps:
            return make()
        if key not in self.made:
            self.made[key] = pickle.dumps(make())
        return pickle.loads(self.made[key])

    def __deepcopy__(self, _: dict[int, Any]) -> "Kept":
        """Itself: Hydra copies its repository for each job."""
        return self

    def __reduce__(self) -> tuple[type, tuple[bool]]:
        return Kept, (False,)


class SharedFiles(ConfigRepository):
    """Hydra's repository, which reads each file once."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.kept = Kept()

    def load_config(self, config_path: str) -> ConfigResult | None:
        key, read = (config_path, *map(str, self.get_sources())), super().load_config
        result: ConfigResult | None = self.kept.get(key, lambda: read(config_path))
        return result


class SharedConfigLoader(ConfigLoaderImpl):
    """Hydra's loader, which reads each file, merges each choice of files, and composes each form of jobs once.

    Jobs are of one form where they differ only in what `values_of_their_own` finds.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = SharedFiles(config_search_path)
        self.merged, self.composed = Kept(), Kept()
        self.parsed: dict[str, Override] = {}
        self.groups: dict[str, bool] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "parsed": {}, "groups": {}}

    def _compose_config_from_defaults_list(
        self, defaults: list[ResultDefault], repo: IConfigRepository
    ) -> DictConfig:
        key, merge = (
            (*map(repr, defaults), *map(str, repo.get_sources())),
            super()._compose_config_from_defaults_list,
        )
        merged: DictConfig = self.merged.get(key, lambda: merge(defaults, repo))
        return merged

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        overrides = self.without_plus(config_name, overrides)
        arguments = (config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        compose, others = super().load_configuration, (config_name, *arguments[2:])

        def anew() -> tuple[list[str], set[str], DictConfig]:
            cfg = as_ours(compose(*arguments))
            return overrides, set(map(str, cfg.hydra.runtime.choices)), cfg

        parsed = self.parse(overrides)
        own = values_of_their_own(parsed, self.is_group)
        form = [o.key_or_group if o in own else o.input_line for o in parsed]
        first, groups, cfg = self.composed.get((*others, *form), anew)
        if groups & {o.key_or_group for o in own}:  # of a search path that the overrides name
            first, _, cfg = self.composed.get((*others, *overrides), anew)
        if first != overrides:
            pairs = zip(parsed, first, strict=True)
            new = {o.key_or_group for o, there in pairs if o.input_line != there}
            vary(cfg, [o for o in own if o.key_or_group in new], parsed)
        return cfg

    def without_plus(self, config_name: str | None, overrides: list[str]) -> list[str]:
        """`+group=option` as `group=option` where the configuration has the group, chosen or not."""
        parsed = self.parse(overrides)
        if not any(o.is_add() for o in parsed) or config_name is None:
            return overrides
        file = self.repository.load_config(config_name)
        there = {getattr(one, "group", None) for one in (file and file.defaults_list) or []}
        return [
            text.removeprefix("+") if o.is_add() and o.key_or_group in there else text
            for text, o in zip(overrides, parsed, strict=True)
        ]

    def is_group(self, key: str) -> bool:
        """Whether it is a folder of options."""
        if key not in self.groups:
            self.groups[key] = self.repository.group_exists(key)
        return self.groups[key]

    def parse(self, overrides: list[str]) -> list[Override]:
        """Each once; wrong ones are for Hydra to name."""
        new = [text for text in overrides if text not in self.parsed]
        for text, override in zip(new, OverridesParser.create().parse_overrides(new), strict=True):
            self.parsed[text] = override
        return [self.parsed[text] for text in overrides]


FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
"""What of Hydra's own section a job may have of its own."""


def values_of_their_own(
    overrides: list[Override], is_group: Callable[[str], bool]
) -> list[Override]:
    """The overrides that set one number, word or null, where no other override touches that place."""
    values = [
        o for o in overrides if not is_group(o.key_or_group)
    ]  # set after the options are chosen
    alone = apart(tuple((o.key_or_group, is_single(o)) for o in values))
    return [o for o, own in zip(values, alone, strict=True) if own]


@cache
def apart(places: tuple[tuple[str, bool], ...]) -> list[bool]:
    """Of each key, whether all that is set there, or around or inside it, is a single value for that very key."""

    def beside(one: str, other: str) -> bool:
        a, b = f"{one}.", f"{other}."
        return not (a.startswith(b) or b.startswith(a))

    return [
        all(beside(key, other) or (key == other and single) for other, single in places)
        for key, _ in places
    ]


def is_single(override: Override) -> bool:
    """Whether it sets one value, not in Hydra's own section, which says how jobs are composed, but for the folder."""
    kind, key = (override.type, override.value_type, override.package), override.key_or_group
    return (
        kind == (OverrideType.CHANGE, ValueType.ELEMENT, None)
        and not isinstance(override.value(), list | dict)
        and (not key.startswith("hydra") or key in FOLDERS)
    )


def vary(cfg: DictConfig, own: list[Override], overrides: list[Override]) -> None:
    """Give `cfg`, composed for another job of the form, the values that differ, as Hydra's loader would set them."""
    ConfigLoaderImpl._apply_overrides_to_config(own, cfg)
    task = [o for o in overrides if not o.is_hydra_override()]
    update(cfg.hydra.overrides.task, task)
    update(cfg.hydra.overrides.hydra, [o for o in overrides if o.is_hydra_override()])
    how = cfg.hydra.job.config.override_dirname
    cfg.hydra.job.override_dirname = get_overrides_dirname(
        task, how.exclude_keys, how.item_sep, how.kv_sep
    )


def update(there: ListConfig, overrides: list[Override]) -> None:
    """Set those words that differ; jobs of one form have equally many."""
    for i, (old, new) in enumerate(zip(as_given(there), overrides, strict=True)):
        if old != new.input_line:
            there[i] = new.input_line


def as_ours(cfg: DictConfig) -> DictConfig:
    """`cfg` as Hydra composed it, with our launcher, and with its folders left to us."""
    return sequential_by_default(hands_off(cfg))


def as_given(overrides: ListConfig) -> list[str]:
    """Overrides as the command line has them: `${…}` in one is resolved where it will stand, not in the list."""
    words: Any = OmegaConf.to_container(overrides, resolve=False)
    return list(map(str, words))


SEQUENTIAL, LAUNCHER = "hydra_plugins.nglab_launcher.Sequential", "hydra/launcher"


def sequential_by_default(cfg: DictConfig) -> DictConfig:
    """`cfg` with our launcher in place of Hydra's, where neither the command line nor a file chose one.

    An `override` in `config.yaml` would stand before one in a file that the command line adds.
    """
    words = as_given(cfg.hydra.overrides.hydra)
    named = any(word.partition("=")[0].endswith(LAUNCHER) for word in words)
    if cfg.hydra.runtime.choices.get(LAUNCHER) == "basic" and not named:
        cfg.hydra.launcher._target_ = SEQUENTIAL
        cfg.hydra.runtime.choices[LAUNCHER] = "sequential"
    return cfg


def hands_off(cfg: DictConfig) -> DictConfig:
    """`cfg` such that Hydra writes nothing into a job's folder; the log's file is opened at the first message."""
    cfg.hydra.output_subdir = None
    handlers = OmegaConf.select(cfg, "hydra.job_logging.handlers") or {}
    with open_dict(cfg.hydra):
        for handler in handlers.values():
            if str(handler.get("class")).endswith("FileHandler"):
                handler.delay = True
    return cfg
