import pytest
import torch
from dense_reference import gradient_and_factors, network_output
from problems import NETWORKS, random_batch, random_params, rng
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.curvature.diagonal import Diagonal
from nglab.likelihoods.gaussian import Gaussian


@pytest.mark.parametrize("name", ["square", "unequal ends", "tanh with bias"])
@pytest.mark.parametrize(("average", "power"), [(0.0, 1.0), (0.6, 0.5)])
@pytest.mark.parametrize("targets", ["sampled", "data"])
def test_it_divides_by_the_mean_squares_of_the_gradients(name, average, power, targets):
    """Averaged as a plain loop does, keep = min(1 − 1/k, average)."""
    network, examples = NETWORKS[name], 9
    params, generator, noise_generator = random_params(network), rng(5), rng(5)
    metric = Diagonal(average, power, targets)
    batch = Batch(network, Gaussian(), params, examples, samples=2 if metric.sampled else 0)
    state, out = metric.init(params, batch), params.map(torch.empty_like)
    means = [torch.zeros_like(w) for w in params]
    for k in range(1, 5):
        x, y = random_batch(network, examples, seed=10 * k)
        batch.gradient_(params, x, y, [generator])
        metric.update_(state, batch)
        assert metric.invert_(state, torch.tensor(0.1).double())
        metric.multiply_(state, batch.gradient, out)
        noise = torch.empty(2, examples, network.widths[-1]).double()
        noise.normal_(generator=noise_generator)
        if targets == "data":  # whose noise is that of the data
            noise = (y - network_output(network, list(params), x)[-1]).unsqueeze(0)
        gradients, _, _, now = gradient_and_factors(network, list(params), x, y, noise)
        keep = min(1 - 1 / k, average)
        means = [keep * old + (1 - keep) * new for old, new in zip(means, now, strict=True)]
        for d, g, mean in zip(out, gradients, means, strict=True):
            assert_close(d, g / (mean + 0.1) ** power)
