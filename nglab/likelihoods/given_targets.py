"""Targets and densities that somebody gives."""

from typing import Any

from torch import Tensor

from nglab.errors import InputError
from nglab.likelihoods.categorical import one_hot
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.given import as_tensor, demand_shape, given_tensor
from nglab.settings.defaults import option
from nglab.settings.messages import demand_kind

GAUSSIAN: Likelihood = Gaussian()
"""The density where none is given."""


def given_likelihood(value: Likelihood | str) -> Likelihood:
    """A density, or the one of `conf/likelihood/<value>.yaml`."""
    found: Any = option("likelihood", value) if isinstance(value, str) else value
    demand_kind(found, Likelihood, "likelihood", "Gaussian()")
    return found


def given_targets(y: Any, z: Tensor, likelihood: Likelihood, key: str = "y") -> Tensor:
    """Targets `[..., M, n_y]` of outputs z `[..., M, n]`; of a density of classes also their numbers `[..., M]`."""
    y = as_tensor(y, key)
    if are_classes(y, likelihood):
        return classes_as_vectors(y, z, key)
    own_size = not likelihood.takes  # of a density whose targets are fewer than the outputs
    return given_tensor(y, key, ["...", z.shape[-2], "n_y" if own_size else z.shape[-1]], z)


def are_classes(y: Tensor, likelihood: Likelihood) -> bool:
    """Whether y are whole numbers that stand for classes: not where the density takes any numbers."""
    return not y.is_floating_point() and "real" not in likelihood.takes


def classes_as_vectors(y: Tensor, z: Tensor, key: str) -> Tensor:
    """Class numbers from 0 as unit vectors, `[..., M, n]`.

    >>> import torch
    >>> classes_as_vectors(torch.tensor([1, 0]), torch.zeros(2, 3), "y")
    tensor([[0., 1., 0.],
            [1., 0., 0.]])
    """
    classes = z.shape[-1]
    why = ", since whole numbers are classes"
    demand_shape(y, key, ["...", z.shape[-2]], why)
    if y.numel() and not 0 <= int(y.min()) <= int(y.max()) < classes:
        found = f"from {int(y.min())} to {int(y.max())}"
        raise InputError(f"{key}: has classes {found}: must be from 0 to {classes - 1}")
    return one_hot(y.long().unsqueeze(-1).to(z.device), z.expand(*y.shape, classes))
