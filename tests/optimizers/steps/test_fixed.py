"""Steps of a set share of the direction: of all of it, and of one L-th."""

import pytest
import torch
from problems import NETWORKS, random_batch, random_params, replicas
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.likelihoods.gaussian import Gaussian
from nglab.optimizers.steps.fixed import Fixed
from nglab.optimizers.steps.paper import Paper


@pytest.mark.parametrize(("rule", "share"), [(Fixed(), 1), (Paper(), 1 / 4)])
@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stack"])
def test_the_step_and_the_decrease_that_it_foretells(rule, share, stacked):
    """ΔW = α d with d = D, or D / L for the paper's; predicted (α − α²/2) Σ_i tr(d_iᵀ G_i)."""
    network = NETWORKS["tanh with bias"]  # L = 4
    params = replicas(network, 2)[1] if stacked else random_params(network)
    alpha = torch.tensor([0.7, 0.3] if stacked else 0.7).double()
    x, y = (t.expand(*params.leading, *t.shape) for t in random_batch(network))
    batch = Batch(network, Gaussian(), params, x.shape[-2], samples=0)
    batch.gradient_(params, x, y)
    direction, trial = params.map(torch.sin), params.map(torch.empty_like)
    predicted = rule.propose_(None, params, alpha, batch, direction, alpha, trial)
    for w, d, new in zip(params, direction, trial, strict=True):
        assert_close(new, w + alpha[..., None, None] * share * d)
    inner = sum(
        (share * d * g).sum((-2, -1)) for d, g in zip(direction, batch.gradient, strict=True)
    )
    assert_close(predicted, (alpha - alpha**2 / 2) * inner)
