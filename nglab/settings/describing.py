"""A class's settings in words: what each takes, what it means, and what its paper uses."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from inspect import isabstract
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Interval, Le, Lt

from nglab.settings.fields import Counts, Description, OneOf, Options, key_of
from nglab.settings.messages import one_of

NAMES: dict[object, str] = {
    bool: "true or false",
    float: "a number",
    int: "a whole number",
    str: "text",
    tuple[int, ...]: "a list of whole numbers, such as [20,30,20]",
    tuple[float, ...]: "a list of numbers, such as [0.1,0.2]",
    tuple[str, ...]: "a list of names",
    Counts: "a list of whole numbers above 0, two or more, such as [20,30,20]",
    Options: "a group of keys, such as {momentum: 0.9}",
}


@dataclass(frozen=True)
class Setting:
    """One setting of a class: its field, its key, its type, what is said of it, and whether it must be given."""

    name: str
    key: str
    type: Any
    description: Description
    required: bool


def settings_of(cls: Any) -> tuple[Setting, ...]:
    """The settings that a dataclass declares, in order: every field that counts when two are compared."""
    return declared(cls)


@cache
def declared(cls: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        Setting(
            f.name,
            key_of(f.name),
            hints[f.name],
            f.metadata.get("setting", Description("")),
            required(f),
        )
        for f in fields(cls)
        if f.compare
    )


def required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def group_of(hint: Any) -> type | None:
    """The class that a hint stands for, where a value of it is a group of keys."""
    hint = without_none(bare(hint))
    group = isinstance(hint, type) and (is_dataclass(hint) or isabstract(hint))
    return hint if group else None


def bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, UnionType):
        return hint
    rest = [part for part in get_args(hint) if part is not NoneType]
    return bare(rest[0]) if len(rest) == 1 else hint


def wanted(hint: Any) -> str:
    """What a value of this type is, in words: "a number above 0 and finite", "one of equal, pi"."""
    if get_origin(hint) in (Union, UnionType):
        parts = ["null" if part is NoneType else wanted(part) for part in get_args(hint)]
        return " or ".join(parts)
    if group_of(hint):
        return "a group of keys"
    if words := choices(hint):
        return one_of(words)
    name = NAMES.get(hint) or NAMES.get(bare(hint), str(bare(hint)))
    limits = within(bounds(hint))
    if bare(hint) is float:
        limits = f"{limits} and finite".removeprefix(" and ")
    return f"{name}, {limits}" if limits else name


def choices(hint: Any) -> tuple[Any, ...]:
    """The words that a value of this type is one of; none where it may be any."""
    if get_origin(bare(hint)) is Literal:
        return get_args(bare(hint))
    return next((one.names for one in get_args(hint)[1:] if isinstance(one, OneOf)), ())


def bounds(hint: Any) -> dict[str, Any]:
    """{"gt": 0, …} of an annotated number."""
    found: dict[str, Any] = {}
    for limit in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        for one in limit if isinstance(limit, Interval) else [limit]:
            for kind, name in ((Gt, "gt"), (Ge, "ge"), (Lt, "lt"), (Le, "le")):
                if isinstance(one, kind):
                    found[name] = getattr(one, name)
    return found


def within(limits: Mapping[str, Any]) -> str:
    """The range in words: "above 0", "1 or more", "from 0 to below 1"."""
    low = next((limits[name] for name in ("gt", "ge") if name in limits), None)
    high = next((limits[name] for name in ("lt", "le") if name in limits), None)
    above, below = "gt" in limits, "lt" in limits
    if low is not None and high is not None:
        ends = ("above " if above else "from ", " and below " if above else " to below ")
        return f"{ends[0]}{short(low)}{ends[1] if below else ' to '}{short(high)}"
    if low is not None:
        return f"above {short(low)}" if above else f"{short(low)} or more"
    if high is not None:
        return f"below {short(high)}" if below else f"at most {short(high)}"
    return ""


def short(number: float) -> str:
    power = number.bit_length() - 1 if isinstance(number, int) else 0
    return f"2^{power}" if power > 32 and number == 2**power else f"{number:g}"
