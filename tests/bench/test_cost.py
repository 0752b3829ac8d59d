import numpy as np
import pytest
import torch
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from nglab.bench.cases import make_case
from nglab.bench.cost import MATMULS, flops_ngd, flops_of_triangles, flops_sgd, matmul_rates
from nglab.bench.steps import explicit_gradient, nglab_ngd
from nglab.networks.network import Network


@pytest.mark.parametrize("widths", [(6, 4, 2, 4, 6), (5, 5, 5, 5), (3, 7)])
@pytest.mark.parametrize("samples", [1, 3])
def test_operations_are_those_that_torch_counts(widths, samples):
    network = Network(widths, "tanh")
    case = make_case(network, 11, 1, 0.1, torch.float64)
    with FlopCounterMode(display=False) as counted:
        explicit_gradient(case)()
    assert counted.get_total_flops() == flops_sgd(network, 11)
    with FlopCounterMode(display=False) as counted:
        nglab_ngd(case, samples)()
    uncounted = flops_of_triangles(network)
    assert counted.get_total_flops() == flops_ngd(network, 11, samples) - uncounted


def test_rates(monkeypatch):
    monkeypatch.setattr("nglab.bench.cost.SIZES", (4, 8))
    rows = matmul_rates(torch.float32, 2)
    ours = rows[rows.contender == "torch.mm"]
    assert list(ours.setting) == [4, 8]
    assert (ours.gflops >= 2e-6 * ours.setting**3 / ours.ms * 0.999).all()  # the best round


@pytest.mark.parametrize("name", MATMULS)
def test_every_library_multiplies(name):
    a, b = torch.rand(2, 5, 5, dtype=torch.float32)
    if name == "JAX":
        pytest.importorskip("jax")
    elif name == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("built without oneDNN")
    product = torch.tensor(np.asarray(MATMULS[name](a, b)()))
    assert_close(product, a @ b)
