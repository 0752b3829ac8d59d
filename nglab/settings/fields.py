"""How a class declares its settings: typed fields, each with its range and a line of help.

A class that YAML names by `_target_` is a frozen dataclass of such fields. From them come the checks and their
messages, `nglab run --help`, and the tables of the documentation; the class has no other schema. The YAML file holds
the defaults.

    @dataclass(frozen=True)
    class Ball:
        radius: Positive = setting("r of the ball", unit="m", paper="0.1")
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt, MinLen, Predicate

Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Lt(1)]
Count = Annotated[int, Ge(1)]
Counts = Annotated[tuple[Count, ...], MinLen(2)]
Options = dict[str, Any]
"""Keys of somebody else's, who knows what they may be."""


class OneOf(Predicate):
    """A word among `names`, of a table that a type cannot spell out: `Annotated[str, OneOf(ACTIVATIONS)]`."""

    names: tuple[str, ...]

    def __init__(self, names: Iterable[str]) -> None:
        object.__setattr__(self, "names", tuple(names))
        super().__init__(frozenset(self.names).__contains__)


@dataclass(frozen=True)
class Description:
    """What `setting` says of a field: one line of help, its unit, and the value that its paper uses."""

    help: str
    unit: str = ""
    paper: str = ""


def key_of(name: str) -> str:
    """The key of a field: its name, less the underscore that follows a word of Python's own.

    >>> key_of("class_")
    'class'
    """
    return name.removesuffix("_")


def setting(help: str, *, unit: str = "", paper: str = "", **options: Any) -> Any:
    """A dataclass field that is a setting; `options` are those of `dataclasses.field`."""
    return field(metadata={"setting": Description(help, unit, paper)}, **options)
