import numpy as np
import pandas as pd
import pytest
import torch
from same_process import SameProcess
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from nglab.bench import cost
from nglab.bench.cases import make_case
from nglab.bench.cost import (
    MATMULS,
    ROOF,
    flops_loss,
    flops_ngd,
    flops_sgd,
    matmul_rates,
    matrices,
    with_roof,
)
from nglab.bench.steps import explicit_gradient
from nglab.bench.timing import VENDOR
from nglab.networks.network import Network


def dense_step(network: Network, m: int, samples: int) -> None:
    """The products of Eqs. 20 and 21 for a linear network, all of them dense, layer by layer."""
    weights = [torch.ones(shape) for shape in network.shapes]
    x = [torch.ones(m, network.widths[0])]
    for w in weights:
        x.append(x[-1] @ w.T)
    for _ in range(1 + samples):
        e = x[-1]
        for i in reversed(range(network.depth)):
            e.T @ (x[i] if _ == 0 else e)
            e = e @ weights[i] if i else e
    for w, inputs in zip(weights, x, strict=False):
        left, right = torch.ones(len(w), len(w)), inputs.T @ inputs
        left @ w @ right


@pytest.mark.parametrize("widths", [(6, 4, 2, 4, 6), (5, 5, 5, 5), (3, 7)])
@pytest.mark.parametrize("samples", [1, 3])
def test_operations_are_those_that_torch_counts(widths, samples):
    network, m = Network(widths), 11
    case = make_case(network, m, 1, 0.1, torch.float64)
    with FlopCounterMode(display=False) as counted:
        explicit_gradient(case)()
    assert counted.get_total_flops() == flops_sgd(network, m)
    with FlopCounterMode(display=False) as counted:
        dense_step(network, m, samples)
    halves = sum(m * (n_in**2 + samples * n**2) for n, n_in in network.shapes)
    factors = sum(n**3 + n_in**3 for n, n_in in network.shapes) / 3
    expected = counted.get_total_flops() - halves + factors + flops_loss(network, m)
    assert_close(flops_ngd(network, m, samples), expected)


@pytest.mark.parametrize("m", [1, 100])
def test_the_loss_of_a_linear_network_takes_its_cheaper_way(m):
    network = Network((6, 20, 2))
    w1, w2, x = torch.ones(20, 6), torch.ones(2, 20), torch.ones(m, 6)
    counts = []
    for product in (lambda: (x @ w1.T) @ w2.T, lambda: x @ (w2 @ w1).T):
        with FlopCounterMode(display=False) as counted:
            product()
        counts.append(counted.get_total_flops())
    assert flops_loss(network, m) == min(counts)
    nonlinear = Network(network.widths, "tanh", bias=True)
    assert flops_loss(nonlinear, m) == 2 * m * (20 * 7 + 2 * 21)


def test_rates(monkeypatch):
    monkeypatch.setattr(cost, "SIZES", (4, 8))
    rows = matmul_rates([SameProcess("lifted"), SameProcess("vendor")], torch.float32, 2)
    for name in ("torch.mm", f"torch.mm{VENDOR}"):
        some = rows[rows.contender == name]
        assert list(some.setting) == [4, 8]
        assert (some.gflops >= 2e-6 * some.setting**3 / some.ms * 0.999).all()  # the best round


def test_the_roof_is_the_arithmetic_at_the_best_rate():
    rows = pd.DataFrame({
        "what": ["gemm", "sgd", "sgd"], "dtype": "float32", "contender": ["JAX", "nglab", "JAX"],
        "gflops": [2.0, None, None], "flops": [None, 4e6, 4e6],
        "ms": [1.0, 6.0, 8.0], "ms_low": 0.5, "ms_high": 9.0, "over_jax": [None, 0.75, 1.0],
    })  # fmt: skip
    steps = with_roof(rows)[lambda r: r.what == "sgd"].set_index("contender")
    assert steps.ms[ROOF] == 2 and steps.over_jax[ROOF] == 0.25
    assert steps.over_roof.to_dict() == {"nglab": 3, "JAX": 4, ROOF: 1}


@pytest.mark.parametrize("name", MATMULS)
def test_every_library_multiplies(name):
    if name == "JAX":
        pytest.importorskip("jax")
    elif name == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("built without oneDNN")
    a, b = matrices(5, torch.float32)
    product = torch.tensor(np.asarray(MATMULS[name](5, torch.float32)()))
    assert_close(product, a @ b)
