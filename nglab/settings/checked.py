"""Objects of settings made in Python: checked one by one, and completed from the YAML file that names their class.

In the place of a group stands an object, the name of an option ("cosine"), or a mapping of what is to be other than in
the YAML file ({"initial": 0.1}), in which a "name" chooses the option.
"""

from abc import ABCMeta
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass
from inspect import isabstract
from numbers import Integral, Number, Real
from typing import Any, TypeVar

from nglab.errors import InputError
from nglab.settings.building import dotted, value_of
from nglab.settings.defaults import Nested, chosen, composed, named, option_of, over
from nglab.settings.describing import Setting, group_of, settings_of, wanted
from nglab.settings.fields import key_of
from nglab.settings.messages import unknown_key

Kind = TypeVar("Kind")


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
        words = [one.key for one in known if is_stand_in(one, given.get(one.key))]
        values = {k: named(k, v) if k in words else v for k, v in given.items()}
    for one in missing:
        if one.key not in values:
            where = dotted(cls.__name__, one.key)
            raise InputError(f"{where}: is missing: must be {wanted(one.type)}")
    return values


def is_stand_in(one: Setting, value: Any) -> bool:
    return isinstance(value, str | Mapping) and bool(group_of(one.type))


def right_value(hint: Any, value: Any, key: str) -> Any:
    """`value` checked; what is no plain value, and in no group's place, is taken as it is."""
    value = as_python(value)
    plain = value is None or isinstance(value, Number | str | Mapping | Sequence)
    return value_of(hint, value, key) if plain or group_of(hint) else value


def as_python(value: Any) -> Any:
    """The numbers of NumPy as Python's."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def altered(settings: Kind, changed: Mapping[str, Any]) -> Kind:
    """A copy with other values that nobody checks."""
    new = copy(settings)
    for name, value in changed.items():
        object.__setattr__(new, name, value)
    return new
