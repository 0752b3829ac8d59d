"""`nglab.torch.NGD` as an optimizer of torch's kind: what it trains, refuses, saves, and takes from its groups."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from nglab.errors import InputError
from nglab.torch import KFAC, NGD

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(2))
Y = torch.randn(20, 3, generator=torch.Generator().manual_seed(3))


def mlp(*beside):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), *beside, nn.Tanh(), nn.Linear(6, 3))


def take(optimizer, model, steps, x=X, y=Y):
    return [float(optimizer.step(lambda: (model(x), y))) for _ in range(steps)]


def values(model):
    return [p.detach().clone() for p in model.parameters()]


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(4, 4, bias=False), nn.Linear(4, 3)

    def forward(self, x):
        return self.decoder(nn.functional.linear(torch.tanh(self.encoder(x)), self.encoder.weight))


class Twice(nn.Module):
    def __init__(self, times):
        super().__init__()
        self.inner, self.last, self.times = nn.Linear(4, 4), nn.Linear(4, 3), times

    def forward(self, x):
        for _ in range(self.times):
            x = torch.tanh(self.inner(x))
        return self.last(x)


def sharing():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 3))
    model[2].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (mlp, {"likelihood": "gausian"}, "likelihood=gausian: must be one of gaussian, categorical"),
        (mlp, {"lr": -1}, "lr=-1: must be"),
        (mlp, {"damping": -1.0}, "damping.initial=-1.0: must be"),
        (mlp, {"damping": {"inital": 1.0}}, "damping.inital: no such key; did you mean damping.initial"),
        (mlp, {"damping": 1e-3, "samples": 0}, "samples=0: must be"),
        (mlp, {"damping": {"initial": 1e-3, "min": 1e-2}}, "damping.min=0.01: must be from 0 to damping.initial"),
        (mlp, {"split": "both"}, "split=both: must be"),
        (mlp, {"average": 1.0}, "average=1.0: must be"),
        (mlp, {"refresh_every": 0}, "refresh_every=0: must be"),
        (mlp, {"step": "lines"}, "step=lines: no such option; did you mean line"),
        (lambda: mlp(nn.LayerNorm(6)), {}, "others=None: must say what trains 1.weight, 1.bias"),
        (lambda: nn.Sequential(nn.Tanh()), {"params": [nn.Parameter(X)]}, "model: has no Linear"),
        (lambda: mlp().half(), {}, "0: its weights are torch.float16"),
        (lambda: nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3).double()), {}, "1: its weights are torch.float64"),
        (sharing, {}, "2 and 0 share their weights"),
    ],
)  # fmt: skip
def test_what_is_refused_before_a_step(model, arguments, message):
    with pytest.raises(InputError) as error:
        NGD(model(), **arguments)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("model", "likelihood", "y", "message"),
    [
        (Tied, "gaussian", Y, "encoder: its weights are used elsewhere too"),
        (lambda: Twice(2), "gaussian", Y, "inner: is called 2 times in one pass, must be once"),
        (lambda: Twice(0), "gaussian", Y, "inner: is called 0 times in one pass, must be once"),
        (mlp, "gaussian", Y[:, :2], "target: is [20, 2], must be [20, 3]"),
        (mlp, "gaussian", torch.zeros(20, dtype=torch.long), "target: is [20], must be [20, 3]"),
        (mlp, "gaussian", torch.zeros(20, 3, dtype=torch.long), "target: is torch.int64, must be real"),
        (mlp, "categorical", torch.zeros(19, dtype=torch.long), "target: is [19], must be [20]"),
        (mlp, "categorical", torch.full((20,), 3), "target: has the class 3, must be from 0 to 2"),
    ],
)  # fmt: skip
def test_what_is_refused_at_the_first_step_leaves_the_model_as_it_was(
    model, likelihood, y, message
):
    model = model()
    optimizer, before = NGD(model, likelihood), values(model)
    with pytest.raises(InputError) as error:
        take(optimizer, model, 1, y=y)
    assert message in str(error.value)
    assert all(map(torch.equal, values(model), before))


def test_other_parameters_are_trained_by_what_the_user_names():
    """LayerNorm's gain by SGD with momentum: as SGD would on its gradient alone."""
    model = mlp(nn.LayerNorm(6))
    optimizer = NGD(model, others=sgd, damping=0.1)
    gain, shift = model[1].weight, model[1].bias
    velocity = [torch.zeros_like(gain), torch.zeros_like(shift)]
    for _ in range(4):
        loss = 0.5 * (model(X) - Y).square().sum(1).mean()
        gradients = torch.autograd.grad(loss, [gain, shift])
        expected = []
        for p, v, g in zip((gain, shift), velocity, gradients, strict=True):
            v.mul_(0.9).add_(g)
            expected.append((p - 0.1 * v).detach())
        take(optimizer, model, 1)
        torch.testing.assert_close([gain.detach(), shift.detach()], expected)
    assert take(optimizer, model, 1)[0] < 1.5


def test_frozen_parameters_stay_and_the_rest_is_trained():
    model = mlp()
    model[0].weight.requires_grad_(False)
    model[2].bias.requires_grad_(False)
    before = values(model)
    losses = take(NGD(model, others=sgd, damping=0.1), model, 10)
    changed = [not torch.equal(a, b) for a, b in zip(values(model), before, strict=True)]
    assert changed == [False, True, True, False] and losses[-1] < losses[0]


def test_a_part_of_a_model_may_be_trained():
    model = mlp()
    before = values(model)
    take(NGD(model, params=model[2].parameters()), model, 3)
    changed = [not torch.equal(a, b) for a, b in zip(values(model), before, strict=True)]
    assert changed == [False, False, True, True]


@pytest.mark.parametrize("step", ["paper", "line"])
def test_groups_have_their_own_rates(step):
    """D is the same, so a layer's step at share 1/4 of α is a quarter of what it is at α, by the paper's rule."""
    steps = {}
    for share in (1.0, 0.25):
        model = mlp()
        groups = [
            {"params": model[0].parameters(), "lr": 0.5 * share},
            {"params": model[2].parameters()},
        ]
        optimizer, before = NGD(model, params=groups, lr=0.5, damping=0.1, step=step), values(model)
        take(optimizer, model, 1)
        steps[share] = [a - b for a, b in zip(values(model), before, strict=True)]
        assert 0 < optimizer.diagnostics()["reduction_ratio"] < 3
    if step == "paper":
        ratio = [(a / b).mean() for a, b in zip(steps[0.25], steps[1.0], strict=True)]
        torch.testing.assert_close(torch.stack(ratio), torch.tensor([0.25, 0.25, 1.0, 1.0]))
    else:
        assert not torch.equal(steps[0.25][0], steps[1.0][0])


def test_the_predicted_decrease_holds_the_shares():
    """On a small step ρ → 1 whatever the groups' shares are: the terms of first order are those of the loss."""
    model = mlp().double()
    groups = [{"params": model[0].parameters(), "lr": 1e-5}, {"params": model[2].parameters()}]
    optimizer = NGD(model, params=groups, lr=1e-4, damping=0.1)
    take(optimizer, model, 1, X.double(), Y.double())
    assert optimizer.diagnostics()["reduction_ratio"] == pytest.approx(1, rel=1e-3)


def test_a_scheduler_of_torch_sets_the_rate():
    """Of a schedule that ends at 0 the last step moves nothing."""
    model = mlp()
    optimizer = NGD(model, lr=0.8, damping=0.1)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=3)
    for expected in (0.8, 0.8 * 2 / 3, 0.8 / 3, 0.0):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected, abs=1e-12)
        before = values(model)
        take(optimizer, model, 1)
        moved = not all(map(torch.equal, values(model), before))
        assert moved == (expected > 1e-12)
        scheduler.step()
    assert optimizer.diagnostics()["damping"] < 1


RESUME = """
import sys, torch
from torch import nn
from nglab.torch import KFAC
saved = torch.load(sys.argv[1])
model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3))
optimizer = KFAC(model, others=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), seed=7)
model.load_state_dict(saved["model"]); optimizer.load_state_dict(saved["optimizer"])
for _ in range(5):
    optimizer.step(lambda: (model(saved["x"]), saved["y"]))
torch.save([p.detach() for p in model.parameters()], sys.argv[2])
"""


def test_a_state_loaded_in_another_process_goes_on_with_the_same_steps(tmp_path):
    model = mlp(nn.LayerNorm(6))
    optimizer = KFAC(model, others=sgd, lr=0.7)
    take(optimizer, model, 4)
    saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "x": X, "y": Y}
    torch.save(saved, tmp_path / "saved.pt")
    take(optimizer, model, 5)
    subprocess.run([sys.executable, "-c", RESUME, tmp_path / "saved.pt", tmp_path / "after.pt"],
                   check=True)  # fmt: skip
    for after, expected in zip(torch.load(tmp_path / "after.pt"), values(model), strict=True):
        torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-6)


def test_dropout_drops_the_same_units_in_every_pass_of_a_step():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    optimizer, dropped = NGD(model, lr=1e-6, step="line"), []
    model[1].register_forward_hook(lambda module, x, y: dropped.append(y.detach() == 0))
    for _ in range(2):
        take(optimizer, model, 1)
    first, second = dropped[: len(dropped) // 2], dropped[len(dropped) // 2 :]
    assert len(first) == 2
    for step in (first, second):
        assert all(torch.equal(one, step[0]) for one in step)
    assert not torch.equal(first[0], second[0])


def test_what_is_done_in_place_after_a_layer_is_no_part_of_it():
    losses = []
    for inplace in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace), nn.Linear(6, 3))
        losses.append(take(KFAC(model), model, 6))
    assert losses[0] == losses[1]


def test_rows_of_a_sequence_are_positions():
    """A linear layer on `[M, T, n]` is the convolution with filters of one pixel on `[M, n, T, 1]`."""
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(15, 2)).double()
    convolution = nn.Sequential(nn.Conv2d(2, 3, 1), nn.Tanh(), nn.Flatten(), nn.Linear(15, 2))
    convolution.double()
    turned = torch.arange(15).view(5, 3).mT.flatten()  # `[T, n]` flattened, as `[n, T]`
    with torch.no_grad():
        for a, b in zip(convolution.parameters(), linear.parameters(), strict=True):
            a.copy_((b[:, turned] if b.shape == (2, 15) else b).view(a.shape))
    x = torch.randn(9, 5, 2, dtype=torch.float64)
    y = torch.randn(9, 2, dtype=torch.float64)
    one, other = NGD(linear), NGD(convolution)
    for _ in range(4):
        a = one.step(lambda: (linear(x), y))
        b = other.step(lambda: (convolution(x.mT.unsqueeze(-1)), y))
        torch.testing.assert_close(a, b)


def test_a_closure_that_fails_at_the_trial_leaves_the_weights_of_before():
    model, calls = mlp(), []
    optimizer, before = NGD(model), values(model)

    def closure():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return model(X), Y

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    assert all(map(torch.equal, values(model), before))
