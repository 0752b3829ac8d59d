"""What runs have in common, and with what they were made."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nglab.runs.many import flatten, is_choice
from nglab.runs.selection import text
from nglab.runs.table import RunRecord

TOLD = {
    "git_commit": "nglab's commit",
    "versions.nglab": "nglab",
    "versions.torch": "PyTorch",
    "versions.numpy": "NumPy",
    "versions.hydra-core": "Hydra",
    "device": "device",
    "processor": "processor",
    "threads": "threads",
    "blas": "BLAS",
    "native": "compiled kernels",
    "dtype": "precision",
    "stacked": "runs in a stack",
    "concurrent": "beside other runs",
}
"""What a summary tells of a run's making, and what it is called."""


def common_settings(configs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The settings that all of one or more runs share; options by the names of their groups, before what they bring.

    Classes are named where they are none of the package's, whose options have names.
    """
    first = configs[0]
    shared = [key for key in first if all(key in c and c[key] == first[key] for c in configs)]
    told = [key for key in shared if not (is_choice(key) and text(first[key]).startswith("nglab."))]
    return {
        key.removesuffix(".name"): text(first[key]) or "null"
        for key in sorted(told, key=in_its_group)
    }


def in_its_group(key: str) -> tuple[str, bool, str]:
    """To sort by: a group's option before its settings, what is in no group first."""
    group = key.rpartition(".")[0]
    return group, not is_choice(key), key


def made_with(records: Sequence[RunRecord]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """What is told of the making, by name: each value and how many runs have it, the most frequent first."""
    told = [flatten(record.summary) for record in records]
    for key, name in TOLD.items():
        values = Counter(text(own.get(key)) for own in told)
        if set(values) != {""}:
            yield name, [(value or "not told", number) for value, number in values.most_common()]
