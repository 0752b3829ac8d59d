"""The settings of a configuration as a table: for `nglab run --help` and for the documentation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nglab.settings.building import dotted, target
from nglab.settings.describing import group_of, settings_of, wanted
from nglab.settings.fields import Description


@dataclass(frozen=True)
class Row:
    """One key: its value, what a value must be, and what is said of it."""

    key: str
    value: Any
    wanted: str
    description: Description

    @property
    def meaning(self) -> str:
        """What it is, its unit, and the paper's value."""
        said = self.description
        unit = f" [{said.unit}]" if said.unit else ""
        return f"{said.help}{unit}" + (f" (paper: {said.paper})" if said.paper else "")


def rows(schema: type, values: Mapping[str, Any], key: str = "") -> Iterator[Row]:
    """A row for every setting of the classes that `values` name, in the order in which they declare them."""
    for one in settings_of(target(schema, values.get("_target_"), key)):
        place, value = dotted(key, one.key), values.get(one.key)
        group = group_of(one.type)
        if group and isinstance(value, Mapping):
            yield from rows(group, value, place)
        else:
            yield Row(place, value, wanted(one.type), one.description)


def as_text(table: list[Row]) -> str:
    """`key = value`, and below it what it means and what it must be."""
    return "\n".join(f"{row.key} = {shown(row.value)}\n    {sentence(row)}" for row in table)


def sentence(row: Row) -> str:
    return "; ".join(filter(None, [row.meaning, row.wanted]))


def shown(value: Any) -> str:
    """A value as YAML has it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
