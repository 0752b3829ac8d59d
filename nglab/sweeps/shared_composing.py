"""Hydra composes a job from its files in some 60 ms; here a sweep's jobs share what they have in common."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository, IConfigRepository
from hydra.core.default_element import ResultDefault
from hydra.types import RunMode


@contextmanager
def composing_once() -> Iterator[None]:
    """Hydra reads each file, merges each choice of files and composes each job once.

    Pre-flight, sweeper and launcher each ask for every job, and jobs that differ in values alone for the same files.
    """
    with ExitStack() as patches:
        for owner, name, key in (
            (ConfigRepository, "load_config", of_file),
            (ConfigLoaderImpl, "_compose_config_from_defaults_list", of_files),
            (ConfigLoaderImpl, "load_configuration", of_job),
        ):
            patches.enter_context(patch.object(owner, name, kept(getattr(owner, name), key)))
        yield


def of_file(repository: ConfigRepository, config_path: str) -> tuple[object, ...]:
    return config_path, *map(str, repository.get_sources())


def of_files(
    loader: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository
) -> tuple[object, ...]:
    return (*map(repr, defaults), *map(str, repo.get_sources()))


def of_job(
    loader: ConfigLoaderImpl,
    config_name: str | None,
    overrides: list[str],
    run_mode: RunMode,
    **checks: bool,
) -> tuple[object, ...]:
    return str(loader.config_search_path), config_name, *overrides, run_mode


def kept(method: Callable[..., Any], key: Callable[..., tuple[object, ...]]) -> Callable[..., Any]:
    """`method`, called once for all arguments of one `key`; each caller gets a copy, since callers change theirs."""
    results: dict[tuple[object, ...], bytes] = {}

    @wraps(method)
    def once(*args: Any, **kwargs: Any) -> Any:
        what = key(*args, **kwargs)
        if what not in results:
            results[what] = pickle.dumps(method(*args, **kwargs))
        return pickle.loads(results[what])

    return once
