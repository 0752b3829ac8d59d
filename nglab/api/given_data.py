"""Examples that are in memory already, as a source of data like any other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from nglab.data.dataset import Dataset
from nglab.data.source import DataSource
from nglab.errors import InputError
from nglab.likelihoods.given_targets import are_classes, classes_as_vectors
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.given import FLOATS, as_tensor, demand_shape, name_of
from nglab.networks.network import Network
from nglab.settings.messages import a_kind

NAMES = ("train_x", "train_y", "test_x", "test_y")


@dataclass(frozen=True)
class GivenData(DataSource):
    """x `[N, n_0]` and y `[N, n_L]`, or classes `[N]` as whole numbers."""

    drawn = False

    tensors: Dataset = field(kw_only=True, compare=False, repr=False)

    @cached_property
    def targets(self) -> str:  # type: ignore[override]
        """What the targets are at their most special: one-hot or class probabilities, from 0 to 1, or any numbers."""
        y = self.tensors.train_y
        if not y.is_floating_point():
            return "classes"
        if not 0 <= float(y.min()) <= float(y.max()) <= 1:
            return "real"
        sums = torch.allclose(y.sum(-1), y.new_ones(len(y)), atol=1e-3)
        return "classes" if sums and y.shape[-1] > 1 else "unit interval"

    def check(self, key: str, run: Any) -> None:
        """InputError where the examples are not of the network's sizes, or whole numbers without being classes."""
        units = {"x": run.arch.widths[0], "y": run.arch.widths[-1]}
        sizes = {"train": self.train_examples, "test": self.test_examples}
        for name in NAMES:
            split, _, side = name.partition("_")
            value, shape = getattr(self.tensors, name), (sizes[split], units[side])
            if value.is_floating_point():
                demand_shape(value, name, shape)
            else:
                demand_classes(value, name, shape, run.likelihood)

    def dataset(self, network: Network, gain: float, seed: int) -> Dataset:
        train_x, test_x = (x.unsqueeze(0) for x in (self.tensors.train_x, self.tensors.test_x))
        train_y, test_y = (
            as_vectors(y, network.widths[-1]).unsqueeze(0) if y is not x else given
            for y, x, given in (
                (self.tensors.train_y, self.tensors.train_x, train_x),
                (self.tensors.test_y, self.tensors.test_x, test_x),
            )
        )
        return Dataset(train_x, train_y, test_x, test_y)


def demand_classes(y: Tensor, name: str, shape: tuple[int, int], likelihood: Likelihood) -> None:
    """InputError unless y are classes, and of those that there are."""
    if not are_classes(y, likelihood):
        raise InputError(
            f"{name}: is {name_of(y.dtype)}: must be float64 or float32; whole numbers are classes,"
            f" and {type(likelihood).__name__} takes any numbers"
        )
    classes_as_vectors(y, torch.zeros(shape), name)


def as_vectors(y: Tensor, units: int) -> Tensor:
    """y, or of classes their unit vectors."""
    if y.is_floating_point():
        return y
    return classes_as_vectors(y, torch.zeros(len(y), units, dtype=torch.float64), "y")


def given_data(data: Any, dtype: str | None) -> GivenData:
    """Of (x, y), (x, y, test_x, test_y) or a `Dataset`; without test examples the training examples stand for them.

    Raises InputError where one is no tensor or array, is not finite, or is of another precision than x where no `dtype`
    is asked for.
    """
    given = [as_tensor(value, name) for name, value in zip(NAMES, parts(data), strict=False)]
    given = [value[0] if is_of_one(data) else value for value in given]
    given = [*given, *given][:4]
    for name, value in zip(NAMES, given, strict=True):
        demand_numbers(name, value, given[0].dtype, dtype)
    for i in (0, 2):
        given[i] = given[i] if given[i].is_floating_point() else given[i].double()
    return GivenData(len(given[0]), len(given[2]), tensors=Dataset(*given))


def parts(data: Any) -> Sequence[Any]:
    """Two or four of them."""
    if isinstance(data, Dataset):
        return [getattr(data, name) for name in NAMES]
    if isinstance(data, Sequence) and not isinstance(data, str) and len(data) in (2, 4):
        return data
    raise InputError(
        f"data: is {a_kind(data)}: must be a DataSource such as Teacher(), a Dataset,"
        " (x, y) or (x, y, test_x, test_y)"
    )


def is_of_one(data: Any) -> bool:
    """Whether it is a `Dataset` as training has it, `[1, N, n]`."""
    return isinstance(data, Dataset) and data.train_x.dim() == 3 and len(data.train_x) == 1


def demand_numbers(name: str, value: Tensor, first: torch.dtype, dtype: str | None) -> None:
    """InputError unless it is of the first one's precision, or any that `dtype` converts, and finite."""
    if not value.is_floating_point() and name.endswith("y"):
        return
    own = name_of(value.dtype)
    if dtype is None and first not in FLOATS:
        raise InputError(f"{name}: is {own}: must be float64 or float32, or give dtype=")
    if value.dtype != first and dtype is None:
        right = name_of(first)
        raise InputError(f"{name}: is {own}: must be {right}, as train_x is, or give dtype=")
    if not value.isfinite().all():
        raise InputError(f"{name}: holds numbers that are not finite")


def precision_of(data: GivenData) -> str:
    """That of x."""
    return name_of(data.tensors.train_x.dtype)
