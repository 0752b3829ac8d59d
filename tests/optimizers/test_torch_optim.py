"""PyTorch's optimizers on explicit gradients against the same ones on gradients by autograd."""

from dataclasses import replace

import pytest
import torch
from dense_reference import autograd_gradient
from problems import CONSTANT, NETWORKS, random_batch, random_params, replicas, task_of
from torch.testing import assert_close
from training_runs import M, assert_undisturbed, problem

from nglab.errors import InputError
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.layers import Layers
from nglab.networks.passes import forward
from nglab.optimizers.first_order.torch_optim import TorchOptim
from nglab.optimizers.optimizer import Task
from nglab.optimizers.schedules.cosine import Cosine
from nglab.runs.config import check
from nglab.settings.composing import compose
from nglab.training.replicas import stack

STEPS = 12
COSINE = Cosine(warm_up=2, final=0.1)
CASES = {
    "ASGD": {}, "Adadelta": {}, "Adafactor": {}, "Adagrad": {}, "Adam": {"amsgrad": True},
    "AdamW": {"betas": (0.8, 0.95)}, "Adamax": {}, "LBFGS": {"line_search_fn": "strong_wolfe", "max_iter": 4},
    "Muon": {}, "NAdam": {}, "RAdam": {}, "RMSprop": {"centered": True, "momentum": 0.5}, "Rprop": {},
    "SGD": {"momentum": 0.5, "foreach": True},
}  # fmt: skip


def method(name, lr=0.02, schedule=COSINE):
    return TorchOptim(
        lr=lr, batch_size=M, schedule=schedule,
        class_=f"torch.optim.{name}", options=CASES[name] or None,
    )  # fmt: skip


def test_every_one_of_pytorch_is_tried():
    there = {name for name in dir(torch.optim) if isinstance(getattr(torch.optim, name), type)}
    assert there - {"Optimizer", "SparseAdam"} <= set(CASES)


@pytest.mark.parametrize("network", ["tanh with bias", "bottleneck"])
@pytest.mark.parametrize("name", CASES)
def test_every_step_is_pytorchs_on_gradients_by_autograd(name, network):
    optimizer, net = method(name), NETWORKS[network]
    params = random_params(net)
    weights = [w.clone() for w in params]
    peer = getattr(torch.optim, name)(weights, lr=optimizer.lr, **CASES[name])
    state = optimizer.init(Task(net, Gaussian(), STEPS), params, lambda purpose: [])
    for k in range(STEPS):
        x, y = random_batch(net, M, k)

        def closure(x=x, y=y):
            for w, g in zip(weights, autograd_gradient(net, weights, x, y), strict=True):
                w.grad = g
            return Gaussian().loss(forward(net, Layers.of(net, weights), x).output, y)

        peer.param_groups[0]["lr"] = optimizer.learning_rate(k, STEPS).item()
        peer.step(closure)
        params, state = optimizer.step(params, state, x, y)
        error = 1e-2 if name == "Muon" else 1e-10  # Muon multiplies in bfloat16
        assert_close(list(params), weights, rtol=error, atol=error)


@pytest.mark.parametrize("name", CASES)
def test_it_goes_on_from_a_checkpoint_bit_for_bit(name, tmp_path):
    assert_undisturbed(lambda: problem(method(name)), tmp_path / "state.pt", passes=2)


REFUSED = {
    "class=nowhere.Adam": r"^optimizer\.class=nowhere\.Adam: there is no module nowhere$",
    "class=torch.optim.Adm": r"^optimizer\.class=torch\.optim\.Adm: torch\.optim has no Adm$",
    "class=torch.nn.Linear": r"^optimizer\.class=torch\.nn\.Linear: must be a kind of torch\.opt",
    "class=torch.optim": r"^optimizer\.class=torch\.optim: must be a kind of torch\.optim\.Opt",
    "class=torch.optim.SparseAdam": r"^optimizer\.options=None of optimizer\.class=torch\.optim\."
    "SparseAdam: SparseAdam does not support dense gradients",
    "options={beta: 3}": r"^optimizer\.options={'beta': 3} of .*AdamW: .* argument 'beta'$",
    "options={betas: [0.9, 2]}": r"^optimizer\.options={'betas': \[0\.9, 2\]} of .*: Invalid beta",
    "options={lr: 2}": r"^optimizer\.options=.* multiple values for keyword argument 'lr'$",
    "options=[1]": r"^optimizer\.options=\[1\]: must be a group of keys.* or null$",
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_pytorch_does_not_take_is_refused_before_any_work(override):
    with pytest.raises(InputError, match=REFUSED[override]):
        check(compose(["optimizer=torch", f"optimizer.{override}"]))


def test_the_options_arrive_and_are_written_down_as_they_were_given():
    config = check(compose(["optimizer=torch", "optimizer.options={betas: [0.9, 0.98]}"]))
    assert config.optimizer.options == {"betas": (0.9, 0.98)}
    assert config.described()["optimizer"]["class"] == "torch.optim.AdamW"
    assert config.described()["optimizer"]["options"] == {"betas": [0.9, 0.98]}


def test_a_stack_is_refused():
    network = NETWORKS["one layer"]
    with pytest.raises(InputError, match="a stack cannot be trained"):
        method("SGD").init(task_of(network), replicas(network, 2)[1], lambda purpose: [])


def test_runs_with_other_classes_are_told_apart_by_the_key():
    runs = [
        problem(replace(method("SGD"), schedule=CONSTANT)),
        problem(method("Adam", schedule=CONSTANT)),
    ]
    with pytest.raises(InputError, match=r"^optimizer\.class="):
        stack(runs)
