"""TONGA's metric against dense covariances, one a block."""

import pytest
import torch
from problems import NETWORKS, random_batch, random_params
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.curvature.low_rank import LowRank
from nglab.likelihoods.gaussian import Gaussian

M, DECAY, RANK, EVERY, DAMPING = 6, 0.8, 2, 3, 0.05


def leading(c, rank):
    """The matrix of the leading eigenpairs."""
    values, vectors = torch.linalg.eigh(c)
    kept = vectors[:, -rank:]
    return kept @ torch.diag(values[-rank:]) @ kept.T


@pytest.mark.parametrize("name", ["square", "unequal ends", "tanh with bias"])
@pytest.mark.parametrize("blocks", ["unit", "layer"])
def test_the_direction_is_that_of_dense_blocks(name, blocks):
    """C_t = Σ γ^{t−τ} g_τ g_τᵀ / Σ γ^{t−τ}, cut to its leading eigenpairs where k + b columns are full."""
    network = NETWORKS[name]
    params, metric = random_params(network), LowRank(DECAY, RANK, EVERY, blocks)
    batch = Batch(network, Gaussian(), params, M, samples=0)
    state, out = metric.init(params, batch), params.map(torch.empty_like)

    def by_block(w):
        return list(w) if blocks == "unit" else [w.flatten()]

    sums, total = None, 0.0
    for t in range(1, 13):
        batch.gradient_(params, *random_batch(network, M, seed=10 * t))
        metric.update_(state, batch)
        assert metric.invert_(state, torch.tensor(DAMPING).double())
        metric.multiply_(state, batch.gradient, out)
        g = [v for w in batch.gradient for v in by_block(w)]
        sums = sums or [torch.zeros(len(v), len(v)).double() for v in g]
        if t > RANK + EVERY and (t - RANK - EVERY - 1) % EVERY == 0:
            sums = [leading(s, RANK) for s in sums]
        sums = [DECAY * s + torch.outer(v, v) for s, v in zip(sums, g, strict=True)]
        total = DECAY * total + 1
        directions = [v for w in out for v in by_block(w)]
        for s, v, d in zip(sums, g, directions, strict=True):
            damped = s / total + DAMPING * torch.eye(len(v))
            assert_close(d, torch.linalg.solve(damped, v))
