"""Muon against a plain loop by singular values, and against PyTorch's."""

import pytest
import torch
from matrix_steps import M, assert_steps
from problems import CONSTANT, NETWORKS, randn

from nglab.optimizers.matrix.muon import Muon, newton_schulz_

NAMES = pytest.mark.parametrize("name", ["square", "expanding", "tanh with bias"])


def muon(lr=0.02, momentum=0.95, steps=5):
    return Muon(lr=lr, batch_size=M, schedule=CONSTANT, momentum=momentum, newton_schulz=steps)


def orthogonal(x, steps):
    """By the singular values: s ← a s + b s³ + c s⁵."""
    u, s, vt = torch.linalg.svd(x, full_matrices=False)
    s = s / (x.norm() + 1e-7)
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ vt


@NAMES
@pytest.mark.parametrize(("momentum", "steps"), [(0.95, 5), (0.5, 2), (0.0, 1)])
def test_its_steps_are_those_of_a_plain_loop(name, momentum, steps):
    def plain():
        velocity = 0.0

        def move(g, k):
            nonlocal velocity
            velocity = momentum * velocity + (1 - momentum) * g
            ahead = momentum * velocity + (1 - momentum) * g
            scale = max(1, len(g) / g.shape[1]) ** 0.5
            return -0.02 * scale * orthogonal(ahead, steps)

        return move

    optimizer = muon(momentum=momentum, steps=steps)
    assert_steps(optimizer, NETWORKS[name], plain, 6, rtol=1e-6, atol=1e-9)


@NAMES
def test_its_steps_are_pytorchs(name, monkeypatch):
    """In float64 there too; it divides by ‖X‖ where Muon's author divides by ‖X‖ + 1e-7."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda x: x.clone())

    def plain():
        parameter = torch.nn.Parameter(torch.zeros(1, 1).double())

        def move(g, k):
            if k == 1:
                parameter.data = torch.zeros_like(g)
            before, parameter.grad = parameter.detach().clone(), g.clone()
            reference.step()
            return parameter.detach() - before

        reference = torch.optim.Muon([parameter], lr=0.02, weight_decay=0.0, momentum=0.95)
        return move

    assert_steps(muon(), NETWORKS[name], plain, 6, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (3, 5, 6), (3, 6, 5)])
def test_singular_values_come_near_one(shape):
    x = randn(*shape, seed=0)
    x /= torch.linalg.matrix_norm(x, keepdim=True)
    square = x.new_empty(*shape[:-2], min(shape[-2:]), min(shape[-2:]))
    for _ in range(5):
        new = torch.empty_like(x)
        newton_schulz_(x, square, torch.empty_like(square), new)
        x = new
    values = torch.linalg.svdvals(x)
    assert values.min() > 0.6 and values.max() < 1.3
