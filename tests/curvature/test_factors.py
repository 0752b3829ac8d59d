import pytest
import torch
from problems import NETWORKS, randn, random_params, replicas
from torch.testing import assert_close

from nglab.curvature.factors import HALF, Factors, second_moment_above

LARGE = [(30, 300), (2, 30, 300)]


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("columns", [False, True])
def test_second_moment_by_onednn(shape, columns, monkeypatch):
    monkeypatch.setattr("nglab.networks.products.LEAST_WORK", 0)
    rows = randn(*shape, seed=0).float()
    rows = rows.mT.contiguous().mT if columns else rows
    dense = torch.einsum("...mi,...mj->...ij", rows, rows) / shape[-2]
    above = torch.full_like(dense, torch.nan)
    second_moment_above(rows, above)
    assert_close(above.triu().nan_to_num(), dense.triu())


@pytest.mark.parametrize(
    "shape", [(7, 5), (9, HALF), (9, 2 * HALF + 3), (4, 7, 5), (3, 9, 2 * HALF + 3)]
)
def test_second_moment(shape):
    rows = randn(*shape, seed=0)
    dense = torch.einsum("...mi,...mj->...ij", rows, rows) / shape[-2]
    above = torch.full_like(dense, torch.nan)
    second_moment_above(rows, above)
    assert_close(above.triu().nan_to_num(), dense.triu())


@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stack"])
@pytest.mark.parametrize("name", NETWORKS)
def test_factors_are_read_by_layer_as_whole_matrices(name, stacked):
    network = NETWORKS[name]
    params = replicas(network, 2)[1] if stacked else random_params(network)
    leading = params.leading
    inputs = [randn(*leading, 9, m, seed=i) for i, (_, m) in enumerate(network.shapes)]
    errors = [randn(*leading, 9, n, seed=50 + i) for i, (n, _) in enumerate(network.shapes)]

    def by_group(layers):
        stacks = [torch.stack([layers[i] for i in group]) for group in network.groups]
        return [
            s.flatten(0, -3) if s.shape[:-2].numel() > 1 else s.view(s.shape[-2:]) for s in stacks
        ]

    factors = Factors(params.network, params.per_replica)
    for stack in factors.stacks:
        stack.fill_(torch.nan)
    factors.measure_(by_group(inputs), by_group(errors))
    for i in range(network.depth):
        on_inputs, on_errors = factors.of_layer(i)
        assert_close(on_inputs, inputs[i].mT @ inputs[i] / 9)
        assert_close(on_errors, errors[i].mT @ errors[i] / 9)


def test_what_lies_below_the_diagonal_is_not_read():
    params = random_params(NETWORKS["one layer"])
    factors = Factors(params.network, params.per_replica)
    factors.inputs[0].copy_(torch.tensor([[1.0, 2, 3], [9, 4, 5], [9, 9, 6]]))
    expected = torch.tensor([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]]).double()
    assert torch.equal(factors.of_layer(0)[0], expected)
