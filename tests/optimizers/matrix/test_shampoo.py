"""Shampoo against a plain loop over dense matrices."""

import pytest
import torch
from matrix_steps import M, assert_steps
from problems import CONSTANT, NETWORKS
from scipy.linalg import fractional_matrix_power

from nglab.optimizers.matrix.shampoo import Shampoo, inverse_fourth_root


def root(a):
    return torch.from_numpy(fractional_matrix_power(a.numpy(), -0.25).real.copy())


@pytest.mark.parametrize("name", ["square", "expanding", "tanh with bias"])
@pytest.mark.parametrize(("momentum", "refresh"), [(0.0, 1), (0.9, 1), (0.5, 3)])
def test_its_steps_are_those_of_a_plain_loop(name, momentum, refresh):
    def plain():
        left = right = velocity = 0.0
        roots = ()

        def move(g, k):
            nonlocal left, right, velocity, roots
            left, right = left + g @ g.T, right + g.T @ g
            if (k - 1) % refresh == 0:
                roots = [root(a + 1e-2 * torch.eye(len(a)).double()) for a in (left, right)]
            velocity = momentum * velocity + roots[0] @ g @ roots[1]
            return -0.1 * velocity

        return move

    optimizer = Shampoo(
        lr=0.1, batch_size=M, schedule=CONSTANT, epsilon=1e-2, momentum=momentum, refresh=refresh
    )
    assert_steps(optimizer, NETWORKS[name], plain, 7)


def test_what_rounding_made_negative_counts_as_zero():
    a = torch.diag(torch.tensor([15.0, -1e-9])).double()
    expected = torch.tensor([0.5, 1.0]).double()
    assert torch.allclose(inverse_fourth_root(a, torch.ones(1).double()), torch.diag(expected))
