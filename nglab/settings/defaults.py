"""Settings given in Python: checked one by one, and what is left out is as in the YAML file that names the class.

In the place of a group stands an object, the name of an option ("cosine"), or a mapping of what is to be other than in
the YAML file ({"initial": 0.1}), in which a "name" chooses the option.
"""

import re
from abc import ABCMeta
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass
from functools import cache
from inspect import isabstract
from numbers import Integral, Number, Real
from typing import Any

from nglab.errors import InputError
from nglab.settings.building import build, dotted, value_of
from nglab.settings.describing import Setting, group_of, settings_of, wanted
from nglab.settings.fields import key_of
from nglab.settings.messages import BESIDE, unknown_key

Nested = dict[str, Any]


class Checked(ABCMeta):
    """Of classes whose objects are made of right settings alone."""

    def __call__(cls, *positions: Any, **given: Any) -> Any:
        if not is_dataclass(cls) or isabstract(cls):
            return super().__call__(*positions, **given)
        return super().__call__(**right_settings(cls, {**by_name(cls, positions), **given}))


class Settings(metaclass=Checked):
    """Base of the frozen dataclasses of settings, which a YAML file may name by `_target_`.

    Raises InputError where a setting is unknown, missing, of another type or out of range. Tensors are not looked at:
    those of a stack stand in the places of numbers.
    """


def by_name(cls: type, positions: Sequence[Any]) -> Nested:
    names = [field.name for field in fields(cls) if field.init and not field.kw_only]
    if len(positions) > len(names):
        raise InputError(f"{cls.__name__}: takes its settings by name, such as lr=0.1")
    return dict(zip(names, positions, strict=False))


def right_settings(cls: type, given: Nested) -> Nested:
    """What `cls` is made of: `given`, and what its YAML file says beside."""
    known = {one.name: one for one in settings_of(cls)}
    others = {field.name for field in fields(cls)} - known.keys()
    for name in given:
        if name not in known and name not in others:
            right = [dotted(cls.__name__, one) for one in known]
            raise InputError(unknown_key(dotted(cls.__name__, name), right))
    values = complete(
        cls, list(known.values()), {key_of(k): v for k, v in given.items() if k in known}
    )
    rest = {name: value for name, value in given.items() if name in others}
    return rest | {
        name: right_value(one.type, values[one.key], dotted(cls.__name__, one.key))
        for name, one in known.items()
        if one.key in values
    }


def complete(cls: type, known: Sequence[Setting], given: Nested) -> Nested:
    """`given` by key, completed from the YAML file of `cls` where something is missing or stands for a group."""
    missing = [one for one in known if one.required and one.key not in given]
    stand_ins = any(is_stand_in(one, given.get(one.key)) for one in known)
    if not missing and not stand_ins:
        return given
    if place := option_of(cls):
        group, name = place
        values = over(composed(group, name, *chosen(group, given)), given, group)
    else:
        values = {k: named(k, v) if isinstance(v, str) else v for k, v in given.items()}
    for one in missing:
        if one.key not in values:
            where = dotted(cls.__name__, one.key)
            raise InputError(f"{where}: is missing: must be {wanted(one.type)}")
    return values


def is_stand_in(one: Setting, value: Any) -> bool:
    return isinstance(value, str | Mapping) and bool(group_of(one.type))


def named(key: str, value: str) -> Any:
    """The option of the group `key`, wherever that lies, where there is such a group; else the word itself."""
    from nglab.settings.composing import conf_dir

    groups = [str(path.relative_to(conf_dir())) for path in conf_dir().rglob(key) if path.is_dir()]
    return option(groups[0], value) if groups else value


def right_value(hint: Any, value: Any, key: str) -> Any:
    """`value` checked, the numbers of NumPy as Python's; what is no plain value is taken as it is."""
    if isinstance(value, Number) and not isinstance(value, bool):
        value = (
            int(value)
            if isinstance(value, Integral)
            else float(value)
            if isinstance(value, Real)
            else value
        )
    plain = value is None or isinstance(value, Number | str | Mapping | Sequence)
    return value_of(hint, value, key) if plain or group_of(hint) else value


def option(group: str, name: str, schema: type = object, **given: Any) -> Any:
    """The object of `conf/<group>/<name>.yaml`, with the settings `given` in place of the file's.

    >>> option("optimizer", "sgd", lr=0.1).lr
    0.1
    """
    given = {key_of(key): value for key, value in given.items()}
    values = over(composed(group, name, *chosen(group, given)), given, group)
    return build(schema, values, group.replace("/", "."))


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


def altered(settings: Any, changed: Mapping[str, Any]) -> Any:
    """A copy with other values that nobody checks."""
    new = copy(settings)
    for name, value in changed.items():
        object.__setattr__(new, name, value)
    return new
