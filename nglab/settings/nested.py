"""Nested plain data by dotted keys."""

from collections.abc import Iterator, Mapping
from typing import Any


def entries(node: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value, a group before what it holds.

    >>> list(entries({"optimizer": {"lr": 0.1}, "seed": 0}))
    [('optimizer', {'lr': 0.1}), ('optimizer.lr', 0.1), ('seed', 0)]
    """
    for key, value in node.items():
        yield f"{place}{key}", value
        if isinstance(value, Mapping):
            yield from entries(value, f"{place}{key}.")


def leaves(node: Any) -> Iterator[tuple[str, Any]]:
    """Every key that is no group, with its value; a list is a value."""
    return (entry for entry in entries(node) if not isinstance(entry[1], Mapping))
