"""Tensors that somebody gives: what is taken, and what is left as it is."""

import numpy as np
import pytest
import torch
from problems import NETWORKS, random_batch, random_params

from nglab.errors import InputError
from nglab.networks.given import given_inputs, given_params, given_tensor
from nglab.networks.layers import Layers

NETWORK = NETWORKS["tanh with bias"]


def test_layers_are_taken_as_they_are_and_a_list_is_copied_into_some() -> None:
    params = random_params(NETWORK)
    assert given_params(NETWORK, params) is params
    from_arrays = given_params(NETWORK, [w.numpy() for w in params])
    assert isinstance(from_arrays, Layers)
    assert all(torch.equal(a, b) for a, b in zip(from_arrays, params, strict=True))


def test_arrays_are_the_tensors_that_they_are_also_those_that_cannot_be_written() -> None:
    params, (x, _) = random_params(NETWORK), random_batch(NETWORK)
    array = x.numpy()[::-1]
    array.setflags(write=False)
    assert torch.equal(given_inputs(NETWORK, params, array), x.flip(0))


def test_replicas_stand_in_front() -> None:
    like = torch.zeros(1)
    stacked = torch.zeros(3, 5, 4)
    assert given_tensor(stacked, "x", ["...", "M", 4], like) is stacked
    with pytest.raises(InputError, match=r"^x: has shape \[3, 5, 4\]: must be \[M, 4\]$"):
        given_tensor(stacked, "x", ["M", 4], like)


def test_a_tensor_elsewhere_is_named() -> None:
    there = torch.zeros(5, 4, device="meta")
    with pytest.raises(InputError, match=r"^x: is on meta: must be on cpu, as the parameters are$"):
        given_tensor(there, "x", ["M", 4], torch.zeros(1))


def test_an_array_of_another_precision_is_named() -> None:
    with pytest.raises(InputError, match=r"^x: is float32: must be float64"):
        given_tensor(np.zeros((5, 4), np.float32), "x", ["M", 4], torch.zeros(1).double())
