"""Which runs can be trained as one stack, and how many of them fit into memory."""

import math
from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import torch

from nglab.networks.layers import Layers
from nglab.optimizers.optimizer import Task
from nglab.runs.build import dataset_key
from nglab.runs.config import Config
from nglab.settings.checked import altered
from nglab.settings.describing import settings_of

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
        alike.setdefault(blank(config) if config.optimizer.stackable else i, []).append(i)
    data = [dataset_key(config) for config in configs]
    for members in alike.values():
        members.sort(key=lambda i: data.index(data[i]))  # runs on the same data side by side
    return [
        part
        for members in alike.values()
        for part in split(configs, members, memory, cache, processes)
    ]


def blank(config: Config) -> str:
    """Equal for configurations that differ only in what the replica axis can carry."""
    return repr(
        replace(config, seed=0, **{key: without_reals(getattr(config, key)) for key in REALS})
    )


def without_reals(settings: Any) -> Any:
    """Settings with every real number 0, theirs and those of the objects in them."""
    changed: dict[str, Any] = {}
    for one in settings_of(type(settings)):
        value = getattr(settings, one.name)
        if is_dataclass(value):
            changed[one.name] = without_reals(value)
        elif isinstance(value, float):
            changed[one.name] = 0.0
    return altered(settings, changed)


def split(
    configs: Sequence[Config], members: Sequence[int], memory: float, cache: float, processes: int
) -> list[list[int]]:
    """`members` in as few parts of nearly one size as keep each within both bounds and every process busy."""
    begun = begin(configs[members[0]])
    step = step_bytes(begun)
    cache = math.inf if configs[members[0]].optimizer.takes_turns(begun[1]) else cache
    shared_out = processes if len(members) >= 2 * processes else 1
    for count in range(shared_out, len(members) + 1, shared_out):
        parts = [list(members[i * len(members) // count : (i + 1) * len(members) // count])
                 for i in range(count)]  # fmt: skip
        if all(
            len(part) * step <= cache and stack_bytes([configs[i] for i in part], step) <= memory
            for part in parts
        ):
            return parts
    return [[i] for i in members]


def stack_bytes(configs: Sequence[Config], step: int) -> int:
    """About what a stack takes at most: each distinct data set twice (while it is stacked), and for each run what its
    steps touch (`step` bytes), the evaluation and the batches gathered ahead."""
    first = configs[0]
    data = len({dataset_key(config) for config in configs}) * 2 * dataset_numbers(first)
    beside = data + len(configs) * evaluation_numbers(first)
    return len(configs) * step + beside * bytes_each(first)


def bytes_each(config: Config) -> int:
    return 8 if config.dtype == "float64" else 4


def dataset_numbers(config: Config) -> int:
    ends = config.arch.widths[0] + config.arch.widths[-1]
    return (config.data.train_examples + config.data.test_examples) * ends


def begin(config: Config) -> tuple[Layers, Any]:
    """The parameters of a run, without values, and its method's state as `init` makes it."""
    like = torch.empty(0, dtype=getattr(torch, config.dtype))
    numbers = sum(n * m for n, m in config.arch.shapes)
    params = Layers.within(config.arch, like.new_empty(1, 1, numbers))
    task = Task(config.arch, config.likelihood, steps=1)
    return params, config.optimizer.init(task, params, lambda purpose: [torch.Generator()])


def step_bytes(begun: tuple[Layers, Any]) -> int:
    """What the steps of one run touch: its parameters, and all that its method keeps."""
    return sum(memory_of(list(begun), {}).values())


def memory_of(value: Any, found: dict[int, int]) -> dict[int, int]:
    """Every piece of memory that the tensors in `value` lie in, identity → bytes."""
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        found[storage._cdata] = storage.nbytes()
    elif isinstance(value, dict):
        memory_of(list(value.values()), found)
    elif isinstance(value, list | tuple):
        for one in value:
            memory_of(one, found)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        memory_of(vars(value), found)
    return found


def evaluation_numbers(config: Config) -> int:
    """The activations of an evaluation, the batches gathered ahead, and the order of a pass."""
    widths, data, size = config.arch.widths, config.data, config.optimizer.batch_size
    ends = widths[0] + widths[-1]
    ahead = config.train.eval_every_examples or -(-data.train_examples // 10)
    return (
        data.test_examples * (sum(widths) + 2 * ends)
        + min(ahead + size, data.train_examples) * ends
        + 4 * data.train_examples  # drawn and laid out
    )
