"""The metrics in sample space against dense matrices by autodiff."""

import pytest
import torch
from curvature.cases import CASES, jacobian, problem
from problems import replicas, rng
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.curvature.sample_space import SampleSpace
from nglab.errors import InputError
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import output_fisher
from nglab.networks.layers import to_vector
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.runs.config import check
from nglab.settings.composing import compose

DAMPING, K = 1e-2, 3
SAMPLED = ["optimizer.metric.targets=sampled", "optimizer.samples=9"]
every_case = pytest.mark.parametrize("name", CASES)
every_kind = pytest.mark.parametrize("targets", ["exact", "sampled", "data"])


def direction(targets, params, x, y, likelihood, generators, damping=DAMPING):
    """D, and the batch that it was made of."""
    metric = SampleSpace(targets)
    batch = Batch(params.network, likelihood, params, x.shape[-2], K if metric.sampled else 0)
    state, out = metric.init(params, batch), params.map(torch.empty_like)
    batch.gradient_(params, x, y, generators)
    metric.update_(state, batch)
    solved = metric.invert_(state, torch.full(params.leading, damping).double())
    metric.multiply_(state, batch.gradient, out)
    assert solved.all()
    return out, batch


def dense(targets, name):
    """C of the problem's batch."""
    network, params, x, y, likelihood = problem(name)
    j, z = jacobian(network, params, x), forward(network, params, x).output
    if targets == "exact":
        return torch.einsum("map,mab,mbq->pq", j, output_fisher(likelihood, z), j) / len(x)
    errors = likelihood.error(z, y).unsqueeze(0)
    if targets == "sampled":
        errors = likelihood.sample_error(z, [rng(5)], out=z.new_empty(K, *z.shape))
    g = torch.einsum("kma,map->kmp", errors, j).flatten(0, 1)
    return g.T @ g / len(g)


@every_kind
@every_case
def test_the_direction_is_that_of_the_dense_matrix(targets, name):
    _, params, x, y, likelihood = problem(name)
    out, batch = direction(targets, params, x, y, likelihood, [rng(5)])
    c = dense(targets, name)
    damped = c + DAMPING * torch.eye(len(c))
    assert_close(to_vector(out), torch.linalg.solve(damped, to_vector(batch.gradient)))


@every_kind
def test_a_stack_is_its_single_networks(targets):
    singles, stacked = replicas(Network((4, 5, 3), "tanh", bias=True), 3)
    x, y = torch.randn(3, 6, 4, generator=rng(1)).double(), torch.randn(3, 6, 3).double()
    together, _ = direction(targets, stacked, x, y, Gaussian(), [rng(r) for r in range(3)])
    for r, one in enumerate(singles):
        alone, _ = direction(targets, one, x[r], y[r], Gaussian(), [rng(r)])
        for d, theirs in zip(together, alone, strict=True):
            assert_close(d[r], theirs)


def test_a_small_damping_costs_no_digits_where_the_gradient_is_a_sum_of_rows():
    """Woodbury's difference (G − …) / λ would lose twelve."""
    _, params, x, y, likelihood = problem("tanh with bias")
    out, batch = direction("exact", params, x, y, likelihood, [], damping=1e-12)
    expected = torch.linalg.pinv(dense("exact", "tanh with bias")) @ to_vector(batch.gradient)
    assert_close(to_vector(out), expected, rtol=1e-5, atol=1e-8)


def test_a_system_that_is_not_positive_definite_is_reported():
    network, params, x, y, likelihood = problem("one layer")
    metric, batch = SampleSpace("data"), Batch(network, likelihood, params, len(x), 0)
    state = metric.init(params, batch)
    batch.gradient_(params, x, y)
    metric.update_(state, batch)
    assert not metric.invert_(state, torch.tensor(-1.0).double())


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["optimizer.batch_size=600"], "at most 500: .*targets=exact makes 20"),
        (
            [*SAMPLED, "optimizer.batch_size=2000"],
            "at most 1111",
        ),
    ],
)
def test_a_system_that_is_too_large_is_refused(words, right):
    with pytest.raises(InputError, match=rf"optimizer\.batch_size=.*{right}"):
        check(compose(["optimizer=sample_space", *words]))
