"""SOAP against a plain loop: M is kept in the coordinates of W, as in the paper's Algorithm 3."""

import pytest
import torch
from matrix_steps import M, assert_steps
from problems import CONSTANT, NETWORKS, replicas, task_of

from nglab.errors import InputError
from nglab.networks.network import Network
from nglab.optimizers.matrix.soap import SOAP

EPSILON, LR = 1e-3, 0.02
DETERMINED = {
    "square": NETWORKS["square"],
    "one layer": NETWORKS["one layer"],
    "tanh with bias": Network((3, 4, 4, 5), "tanh", bias=True),
}
"""Rows and columns differ by one at most: a gradient leaves no choice of eigenvectors, but for their signs."""


def soap(beta1=0.95, beta2=0.95, refresh=10):
    return SOAP(
        lr=LR, batch_size=M, schedule=CONSTANT, beta1=beta1, beta2=beta2, epsilon=EPSILON,
        refresh=refresh,
    )  # fmt: skip


@pytest.mark.parametrize("name", DETERMINED)
@pytest.mark.parametrize(("beta1", "beta2", "refresh"), [(0.95, 0.95, 3), (0.0, 0.8, 1)])
def test_its_steps_are_those_of_a_plain_loop(name, beta1, beta2, refresh):
    def plain():
        left = right = first = second = 0.0
        basis: list = []

        def move(g, k):
            nonlocal left, right, first, second, basis
            k -= 1
            step = torch.zeros_like(g)
            if k > 0:
                first = beta1 * first + (1 - beta1) * g
                turned = basis[0].T @ g @ basis[1]
                second = beta2 * second + (1 - beta2) * turned**2
                m = basis[0].T @ first @ basis[1] / (1 - beta1**k)
                adam = m / ((second / (1 - beta2**k)).sqrt() + EPSILON / (1 - beta2**k) ** 0.5)
                step = -LR * basis[0] @ adam @ basis[1].T
            left = beta2 * left + (1 - beta2) * g @ g.T
            right = beta2 * right + (1 - beta2) * g.T @ g
            if k == 0:
                basis = [torch.linalg.eigh(a).eigenvectors.flip(1) for a in (left, right)]
            elif k % refresh == 0:
                basis = [
                    torch.linalg.qr(a @ q).Q for a, q in zip((left, right), basis, strict=True)
                ]
            return step

        return move

    assert_steps(soap(beta1, beta2, refresh), DETERMINED[name], plain, 8)


def test_a_stack_is_refused():
    network = NETWORKS["square"]
    with pytest.raises(InputError, match="stack"):
        soap().init(task_of(network), replicas(network, 2)[1], lambda purpose: [])
