"""Objects from plain values: the class that `_target_` names, its settings checked one by one.

The types and their ranges are checked by pydantic, strictly: what would have to be converted is wrong, but a whole
number where a real one is wanted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import import_module
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from nglab.errors import InputError
from nglab.settings.describing import choices, group_of, settings_of, wanted, without_none
from nglab.settings.fields import key_of
from nglab.settings.messages import BESIDE, demand, meant, unknown_key


def build(schema: type, values: Any, key: str = "") -> Any:
    """The object that `values` describes: of the class that its `_target_` names, a kind of `schema`, or of `schema`.

    Raises InputError at the first key that is unknown, missing, of another type or out of range.
    """
    demand(isinstance(values, Mapping), key, values, "a group of keys")
    cls = target(schema, values.get("_target_"), key)
    given = {name: value for name, value in values.items() if name not in BESIDE}
    known = {one.key: one for one in settings_of(cls)}
    for name in given:
        if name not in known:
            raise InputError(unknown_key(dotted(key, name), [dotted(key, one) for one in known]))
    for name, one in known.items():
        if one.required and name not in given:
            raise InputError(f"{dotted(key, name)}: is missing: must be {wanted(one.type)}")
    return cls(**{
        known[name].name: value_of(known[name].type, v, dotted(key, name))
        for name, v in given.items()
    })  # fmt: skip


def dotted(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def target(schema: type, path: object, key: str) -> type:
    """The class that `path` names, which must be a dataclass and a kind of `schema`."""
    if path is None:
        demand(not getattr(schema, "__abstractmethods__", None), f"{key}._target_", path,
               f"the class of a {schema.__name__}, such as package.module.Class")  # fmt: skip
        return schema
    found = imported(str(path), f"{key}._target_")
    right = isinstance(found, type) and issubclass(found, schema) and is_dataclass(found)
    demand(right, f"{key}._target_", path, f"a dataclass that is a {schema.__name__}")
    missing = sorted(getattr(found, "__abstractmethods__", ()))
    demand(not missing, f"{key}._target_", path, f"a class that defines {', '.join(missing)}")
    return found


def imported(path: str, key: str) -> Any:
    """What stands in a module under a dotted name; what is raised inside the module is its author's to see."""
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module or name), name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module or name}.".startswith(f"{error.name}."):
            raise
        raise InputError(f"{key}={path}: there is no module {error.name}") from error
    except (AttributeError, ValueError) as error:
        raise InputError(f"{key}={path}: {module or 'it'} has no {name}") from error


def value_of(hint: Any, value: Any, key: str) -> Any:
    """`value` checked against the type and the range of its setting; an object in the place of a group is right."""
    group = group_of(hint)
    if group and not (value is None and without_none(hint) is not hint):
        return value if isinstance(value, group) else build(group, value, key)
    try:
        return adapter(hint).validate_python(as_tuples(value))
    except ValidationError as error:
        right = f"{wanted(hint)}{meant(value, choices(hint))}"
        raise InputError(f"{key}={value}: must be {right}") from error


@cache
def adapter(hint: Any) -> TypeAdapter[Any]:
    config = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    return TypeAdapter(hint, config=config)


def as_tuples(value: Any) -> Any:
    """Lists as tuples, in groups too: settings are never changed in place."""
    if isinstance(value, Mapping):
        return {name: as_tuples(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(map(as_tuples, value))
    return value


def check_all(settings: Any, run: Any, key: str = "") -> None:
    """Call `check(key, run)` of every object among the settings that has one: what concerns several keys at once."""
    if hasattr(settings, "check"):
        settings.check(key, run)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if is_dataclass(value):
            check_all(value, run, dotted(key, key_of(field.name)))


def plain(settings: Any) -> Any:
    """Settings as plain data, with the classes' names: equal for equal settings, and what JSON can hold."""
    if isinstance(settings, tuple):
        return [plain(one) for one in settings]
    if isinstance(settings, Mapping):
        return {name: plain(one) for name, one in settings.items()}
    if not is_dataclass(settings):
        return settings
    cls = type(settings)
    return {"_target_": f"{cls.__module__}.{cls.__qualname__}"} | {
        one.key: plain(getattr(settings, one.name)) for one in settings_of(cls)
    }
