"""Hydra composes a job from its files in some 60 ms; here a command's jobs share what they have in common.

Nor does Hydra write into a job's folder: that is for `nglab.sweeps.job`, once the folder is the job's own.
"""

import pickle
from collections.abc import Callable
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.default_element import ResultDefault
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict


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
    """Hydra's loader, which reads each file, merges each choice of files and composes each job once.

    Pre-flight, sweeper and launcher each ask for every job, and jobs that differ in values alone for the same files.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self.repository = SharedFiles(config_search_path)
        self.merged, self.composed = Kept(), Kept()

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
        arguments = (config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        key, compose = (*arguments[:1], *overrides, *arguments[2:]), super().load_configuration
        composed: DictConfig = self.composed.get(key, lambda: hands_off(compose(*arguments)))
        return composed


def hands_off(cfg: DictConfig) -> DictConfig:
    """`cfg` such that Hydra writes nothing into a job's folder; the log's file is opened at the first message."""
    cfg.hydra.output_subdir = None
    handlers = OmegaConf.select(cfg, "hydra.job_logging.handlers") or {}
    with open_dict(cfg.hydra):
        for handler in handlers.values():
            if str(handler.get("class")).endswith("FileHandler"):
                handler.delay = True
    return cfg
