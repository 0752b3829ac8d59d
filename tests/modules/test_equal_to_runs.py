"""On a plain network `nglab.torch` takes the steps of `optimizer=ngd` and its kin, to rounding."""

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.optimizers.ngd import NGD as Method
from nglab.optimizers.optimizer import Task
from nglab.randomness import stream
from nglab.settings.building import build
from nglab.settings.composing import compose
from nglab.torch import KFAC, NGD

EXAMPLES, STEPS = 40, 8


def network_and_model(bias, dtype):
    network = Network((6, 8, 8, 5), "tanh", bias)
    params = random_parameters(network, 1.0, stream(0, "student")).map(lambda w: w.to(dtype))
    model = nn.Sequential(
        nn.Linear(6, 8, bias), nn.Tanh(), nn.Linear(8, 8, bias), nn.Tanh(), nn.Linear(8, 5, bias)
    ).to(dtype)
    for layer, w in zip(model[::2], params, strict=True):
        layer.weight.data.copy_(w[:, : layer.in_features])
        if bias:
            layer.bias.data.copy_(w[:, -1])
    return network, params, model


def weights_of(model):
    with torch.no_grad():
        return [
            layer.weight.clone()
            if layer.bias is None
            else torch.cat([layer.weight, layer.bias[:, None]], 1)
            for layer in model[::2]
        ]


def batch(dtype, classes):
    random = torch.Generator().manual_seed(1)
    x = torch.randn(EXAMPLES, 6, generator=random, dtype=dtype)
    if classes:
        labels = torch.randint(5, (EXAMPLES,), generator=random)
        return x, labels, nn.functional.one_hot(labels, 5).to(dtype)
    y = torch.randn(EXAMPLES, 5, generator=random, dtype=dtype)
    return x, y, y


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("optimizer", "words", "arguments"),
    [
        (NGD, [], {}),
        (NGD, ["optimizer.samples=3", "optimizer.metric.split=pi"], {"samples": 3, "split": "pi"}),
        (NGD, ["optimizer.lr=0.5", *(f"optimizer.metric.{k}" for k in ("average=0.9", "refresh=3", "measure=3"))],
         {"average": 0.9, "refresh_every": 3, "lr": 0.5}),
        (NGD, ["optimizer/step_rule=line", "optimizer.damping.min=0.01"],
         {"step": "line", "damping": {"min": 0.01}}),
        (NGD, ["optimizer/step_rule=layerwise", "optimizer.damping.initial=0.1"],
         {"step": "layerwise", "damping": 0.1}),
        (KFAC, [], {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("likelihood", [Gaussian(), Categorical()], ids=["gaussian", "categorical"])
def test_the_steps_are_those_of_the_runs(optimizer, words, arguments, likelihood, bias, dtype):
    network, params, model = network_and_model(bias, dtype)
    x, y, as_rows = batch(dtype, isinstance(likelihood, Categorical))
    settings = compose([f"optimizer={optimizer.option}", *words]).optimizer
    if "examples" in settings.step_rule:
        settings.step_rule.examples = None
    settings.batch_size = EXAMPLES
    method = build(Method, OmegaConf.to_container(settings))
    state = method.init(
        Task(network, likelihood, STEPS), params, lambda purpose: [stream(0, purpose)]
    )
    ours = optimizer(model, likelihood, **arguments)
    before, losses = weights_of(model), []
    for _ in range(STEPS):
        params, state = method.step(params, state, x, as_rows)
        losses.append(ours.step(lambda: (model(x), y)))
    near = {"rtol": 1e-9, "atol": 1e-12} if dtype is torch.float64 else {"rtol": 1e-3, "atol": 1e-4}
    for name, value in method.diagnostics(state).items():
        assert ours.diagnostics()[name] == pytest.approx(float(value), near["rtol"])
    assert ours.diagnostics()["skipped_steps"] < STEPS
    for w, expected, start in zip(weights_of(model), params, before, strict=True):
        assert torch.allclose(w, expected, **near) and not torch.equal(w, start)
    assert losses[-1] < losses[0]
