"""Which runs can be trained as one stack, and how many of them fit into memory."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any

from nglab.runs.config import Config, MnistConfig, NGDConfig, SGDConfig

STACKABLE = (SGDConfig, NGDConfig)
REALS = ("data", "optimizer", "init")
"""The sections whose real numbers may differ within a stack."""


def group(
    configs: Sequence[Config], memory: float, cache: float, processes: int = 1
) -> list[list[int]]:
    """Indices of the runs that are trained together, groups in order of first appearance.

    Within a group the runs differ only in their seeds and in the real numbers of data, optimizer and initialisation.
    No group of two or more takes above `memory` bytes in all, nor a step of it above `cache` bytes; where there are
    runs enough, as many groups as to keep so many `processes` equally busy.
    """
    alike: dict[Any, list[int]] = {}
    for i, config in enumerate(configs):
        alike.setdefault(blank(config) if stackable(config) else i, []).append(i)
    data = [dataset_key(config) for config in configs]
    for members in alike.values():
        members.sort(key=lambda i: data.index(data[i]))  # runs on the same data side by side
    return [
        part
        for members in alike.values()
        for part in split(configs, members, memory, cache, processes)
    ]


def stackable(config: Config) -> bool:
    return isinstance(config.optimizer, STACKABLE)


def blank(config: Config) -> str:
    """Equal for configurations that differ only in what the replica axis can carry."""
    return repr(
        replace(config, seed=0, **{key: without_reals(getattr(config, key)) for key in REALS})
    )


def without_reals(section: Any) -> Any:
    """A section of the configuration with every real number 0."""
    values = {field.name: getattr(section, field.name) for field in fields(section)}
    return replace(
        section,
        **{k: without_reals(v) for k, v in values.items() if is_dataclass(v)},
        **{k: 0.0 for k, v in values.items() if isinstance(v, float)},
    )


def split(
    configs: Sequence[Config], members: Sequence[int], memory: float, cache: float, processes: int
) -> list[list[int]]:
    """`members` in as few parts of nearly one size as keep each within both bounds and every process busy."""
    step = step_numbers(configs[members[0]]) * bytes_each(configs[members[0]])
    shared_out = processes if len(members) >= 2 * processes else 1
    for count in range(shared_out, len(members) + 1, shared_out):
        parts = [list(members[i * len(members) // count : (i + 1) * len(members) // count])
                 for i in range(count)]  # fmt: skip
        if all(
            len(part) * step <= cache and stack_bytes([configs[i] for i in part]) <= memory
            for part in parts
        ):
            return parts
    return [[i] for i in members]


def stack_bytes(configs: Sequence[Config]) -> int:
    """About what a stack takes at most: each distinct data set twice (while it is stacked), and for each run what its
    steps touch, the evaluation and the batches gathered ahead."""
    data = len({dataset_key(config) for config in configs}) * 2 * dataset_numbers(configs[0])
    numbers = data + len(configs) * replica_numbers(configs[0])
    return numbers * bytes_each(configs[0])


def bytes_each(config: Config) -> int:
    return 8 if config.dtype == "float64" else 4


def dataset_numbers(config: Config) -> int:
    ends = config.arch.widths[0] + config.arch.widths[-1]
    return (config.data.train_examples + config.data.test_examples) * ends


def step_numbers(config: Config) -> int:
    """What the steps of one run touch: weights and what is as large, factors, passes over a batch."""
    widths, optimizer = config.arch.widths, config.optimizer
    shapes = [(n, n_in + config.arch.bias) for n_in, n in pairwise(widths)]
    weights = sum(n * n_in for n, n_in in shapes)
    samples = optimizer.samples if isinstance(optimizer, NGDConfig) else 0
    kept = 6 * weights + 4 * sum(n**2 + n_in**2 for n, n_in in shapes) if samples else weights
    return kept + optimizer.batch_size * sum(widths) * (2 + samples)


def replica_numbers(config: Config) -> int:
    widths, data, optimizer = config.arch.widths, config.data, config.optimizer
    ends = widths[0] + widths[-1]
    ahead = config.train.eval_every_examples or -(-data.train_examples // 10)
    return (
        step_numbers(config)
        + data.test_examples * (sum(widths) + 2 * ends)
        + min(ahead + optimizer.batch_size, data.train_examples) * ends
        + 4 * data.train_examples  # the order of a pass, drawn and laid out
    )


def dataset_key(config: Config) -> str:
    """Equal for configurations with the same data set."""
    drawn = not isinstance(config.data, MnistConfig)
    return repr((config.data, (config.seed, config.arch, config.init) if drawn else None))
