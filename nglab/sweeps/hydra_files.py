"""`.hydra/` in a job's folder: its configuration as composed, Hydra's own section, and its overrides.

Hydra dumps them entry by entry in some 10 ms; here an entry that an earlier job of the process had too is not dumped
again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf._utils import get_omega_conf_dumper

HYDRA_FILES = ".hydra"
"""The folder within a job's."""


def write_hydra_files(config: DictConfig) -> None:
    """Where the job's output goes; the callbacks of others, too, write there from now on."""
    with read_write(config.hydra):
        config.hydra.output_subdir = HYDRA_FILES
    values = cast(dict[str, Any], OmegaConf.to_container(config, enum_to_str=True))
    hydra = values.pop("hydra")
    folder = Path(hydra["runtime"]["output_dir"]) / HYDRA_FILES
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(as_yaml(values), encoding="utf-8")
    (folder / "hydra.yaml").write_text(as_yaml({"hydra": hydra}), encoding="utf-8")
    (folder / "overrides.yaml").write_text(dump(hydra["overrides"]["task"]), encoding="utf-8")


def as_yaml(values: Mapping[Any, Any], depth: int = 0) -> str:
    """The text of `OmegaConf.to_yaml`."""
    if not values:
        return "{}\n"
    return "".join(
        entry(key, {0: 0}, depth).rpartition("  " * (depth + 1) + "0:")[0]
        + as_yaml(value, depth + 1)
        if isinstance(value, Mapping) and value
        else entry(key, value, depth)
        for key, value in values.items()
    )


known: dict[tuple[str, str, int], str] = {}


def entry(key: Any, value: Any, depth: int) -> str:
    """The lines of `key: value`, so many mappings deep."""
    place = (repr(key), repr(value), depth)
    if place not in known:
        nested: Any = {key: value}
        for _ in range(depth):
            nested = {0: nested}
        known[place] = "".join(dump(nested).splitlines(keepends=True)[depth:])
    return known[place]


def dump(value: Any) -> str:
    return str(yaml.dump(
        value, default_flow_style=False, allow_unicode=True, sort_keys=False,
        Dumper=get_omega_conf_dumper(),
    ))  # fmt: skip
