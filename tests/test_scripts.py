"""The script that trains by plain PyTorch: the same loss as nglab's, rows as the race has them."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.networks.passes import forward
from nglab.randomness import stream
from nglab.settings.composing import conf_dir


@pytest.fixture
def plain_torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(conf_dir().parent / "scripts")
    import plain_torch

    return plain_torch


@pytest.mark.parametrize("activation", ["identity", "tanh"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("classes", [False, True])
def test_its_loss_is_that_of_nglab(
    plain_torch: ModuleType, activation: str, bias: bool, classes: bool
) -> None:
    network = Network((7, 6, 5, 4), activation, bias)
    params = random_parameters(network, 1.0, stream(3, "student"))
    generator = stream(4, "examples")
    x = torch.randn(11, 7, dtype=torch.float64, generator=generator)
    y = torch.rand(11, 4, dtype=torch.float64, generator=generator).softmax(1)
    likelihood: Likelihood = Categorical() if classes else Gaussian()
    loss: Callable[..., torch.Tensor] = cross_entropy if classes else plain_torch.squared_error
    model = plain_torch.sequential(network).double()
    layers = [module for module in model if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for layer, w in zip(layers, params, strict=True):
            layer.weight.copy_(w[:, : layer.in_features])
            if bias:
                layer.bias.copy_(w[:, -1].copy_(torch.arange(len(w))))
    expected = likelihood.loss(forward(network, params, x).output, y)
    torch.testing.assert_close(loss(model(x), y), expected)


def test_its_first_weights_have_the_variance_of_nglabs(plain_torch: ModuleType) -> None:
    torch.manual_seed(0)
    first, *_ = plain_torch.sequential(Network((400, 300, 10), "tanh", bias=True))
    assert float(first.weight.detach().var()) == pytest.approx(1 / 400, rel=0.03)
    assert not first.bias.any()


def test_its_rows_are_those_of_the_races_curves(plain_torch: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "there" / "curves.csv"
    command = ["SGD", "A", "--passes", "0.2", "--seeds", "2", "lr=0.01", "momentum=0.5"]
    plain_torch.main([*command, "--out", str(out)])
    plain_torch.main(["SGD", "A", "--passes", "0.1", "lr=1e9", "--out", str(out)])
    curves = pd.read_csv(out)
    tamed = curves[curves.setting == "lr=0.01 momentum=0.5 batch_size=20"]
    assert list(tamed.seed) == [0, 0, 0, 1, 1, 1]
    assert list(tamed.step[:3]) == [0, 50, 100]
    assert list(tamed.examples_seen[:3]) == [0, 1000, 2000]
    assert list(tamed.passes[:3]) == [0, 0.1, 0.2]
    assert set(tamed.method) == {"torch.optim.SGD"}
    assert set(curves.tuned_for) == {"none"}
    assert set(tamed.status) == {"finished"}
    assert tamed.test_loss.iloc[2] < tamed.test_loss.iloc[0] / 10
    assert tamed.times_floor.to_numpy() == pytest.approx(tamed.test_loss / 1e-5, rel=1e-4)
    assert set(curves.status[curves.setting != tamed.setting.iloc[0]]) == {"diverged"}


def test_the_same_seed_gives_the_same_curve(plain_torch: ModuleType, tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for file in files:
        plain_torch.main(["Adam", "A", "--passes", "0.1", "--out", str(file), "lr=0.001"])
    a, b = (pd.read_csv(file).drop(columns="train_seconds") for file in files)
    assert a.equals(b)


def test_a_problem_that_is_none_is_refused(
    plain_torch: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        plain_torch.main(["SGD", "Q", "lr=0.1"])
    assert "Q: must be one of A, B, C, D, K" in capsys.readouterr().err
