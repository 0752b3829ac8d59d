"""The options of the YAML files as objects: the one place that defaults come from."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from nglab.settings.building import build
from nglab.settings.fields import key_of
from nglab.settings.messages import BESIDE

Nested = dict[str, Any]


def option(group: str, name: str, schema: type = object, **given: Any) -> Any:
    """The object of `conf/<group>/<name>.yaml`, with the settings `given` in place of the file's.

    >>> option("optimizer", "sgd", lr=0.1).lr
    0.1
    """
    given = {key_of(key): value for key, value in given.items()}
    values = over(composed(group, name, *chosen(group, given)), given, group)
    return build(schema, values, group.replace("/", "."))


def named(key: str, value: Any) -> Any:
    """Of a word the option of the group `key`, wherever that lies, where there is such a group; else the value."""
    from nglab.settings.composing import conf_dir

    groups = [str(path.relative_to(conf_dir())) for path in conf_dir().rglob(key) if path.is_dir()]
    return option(groups[0], value) if groups and isinstance(value, str) else value


@cache
def option_of(cls: type) -> tuple[str, str] | None:
    """Group and name of the YAML file that names `cls`; of several the one that is called as the class's module."""
    from nglab.settings.composing import conf_dir  # Hydra: a while, and only here

    line = re.compile(
        rf"^ *_target_: {re.escape(f'{cls.__module__}.{cls.__qualname__}')} *(#.*)?$", re.M
    )
    files = [file for file in sorted(conf_dir().rglob("*.yaml")) if line.search(file.read_text())]
    if len(files) > 1:
        files = [file for file in files if file.stem == cls.__module__.rpartition(".")[2]]
    return (str(files[0].parent.relative_to(conf_dir())), files[0].stem) if files else None


@cache
def composed(group: str, name: str, *choices: str) -> Nested:
    """`conf/<group>/<name>.yaml` under more choices of options, as plain data that nobody may change.

    Of no group the whole configuration of a run, less Hydra's section.
    """
    from omegaconf import OmegaConf

    from nglab.settings.composing import aside, compose_all

    words = [f"{group}={name}", *choices] if group else list(choices)
    with aside():
        (cfg,) = compose_all([words])
        keys = group.split("/") if group else []
        for key in keys:
            cfg = cfg[key]
        return {
            str(key): OmegaConf.to_container(value, resolve=True)
            if OmegaConf.is_config(value)
            else value
            for key, value in cfg.items()
            if keys or key != "hydra"
        }


def is_group(path: str) -> bool:
    from nglab.settings.composing import conf_dir

    return (conf_dir() / path).is_dir()


def chosen(group: str, given: Mapping[str, Any]) -> Iterator[str]:
    """`group/key=option` for every option that is named among `given`."""
    for key, value in given.items():
        place = f"{group}/{key}".strip("/")
        if isinstance(value, str | Mapping) and is_group(place):
            name = value if isinstance(value, str) else value.get("name")
            yield from [f"{place}={name}"] if name else []
            yield from chosen(place, value) if isinstance(value, Mapping) else []


def over(values: Mapping[str, Any], given: Mapping[str, Any], group: str) -> Nested:
    """`values` with those `given` in their place; options that are named have been composed into them already."""
    merged = dict(values)
    for key, value in given.items():
        place, before = f"{group}/{key}".strip("/"), merged.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            rest = {k: v for k, v in value.items() if k not in BESIDE}
            merged[key] = over(before, rest, place)
        elif not (isinstance(value, str) and is_group(place)):
            merged[key] = value
    return merged
