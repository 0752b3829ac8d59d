"""Captured steps against plain ones: on a GPU where there is one, and everywhere with a graph acted out on the CPU."""

from functools import partial

import pytest
import torch
from problems import CONSTANT, kronecker, levenberg_marquardt, natural_gradient, randn, rng
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from nglab.curvature.diagonal import Diagonal
from nglab.curvature.sample_space import SampleSpace
from nglab.data.teacher import Teacher
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.first_order.adadelta import AdaDelta
from nglab.optimizers.first_order.adam import Adam
from nglab.optimizers.first_order.compiled import CompiledDescent
from nglab.optimizers.first_order.first_order import FirstOrder
from nglab.optimizers.first_order.momentum import Momentum
from nglab.optimizers.first_order.nesterov import Nesterov
from nglab.optimizers.optimizer import Task
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.sgd import SGD
from nglab.optimizers.steps.layerwise import Layerwise
from nglab.optimizers.steps.line import Line
from nglab.randomness import stream
from nglab.training.cuda_graph import CapturedSteps
from nglab.training.loop import train
from nglab.training.problem import Problem

M = 24
READS = (torch.ops.aten._local_scalar_dense, torch.ops.aten.item, torch.ops.aten.is_nonzero)
NETWORKS = {
    "linear": Network((5, 4, 4, 4, 5)),
    "tanh": Network((5, 6, 6, 3), "tanh", bias=True),
}
RATES = torch.tensor([0.01, 0.03, 0.005])
OPTIMIZERS = {
    "sgd": lambda stacked: SGD(lr=RATES if stacked else 0.01, batch_size=M, schedule=CONSTANT),
    "sgd, cosine": lambda stacked: SGD(
        lr=RATES if stacked else 0.01, batch_size=M, schedule=Cosine(warm_up=2, final=0.1)
    ),
    "momentum": lambda stacked: Momentum(
        lr=0.01, batch_size=M, schedule=CONSTANT, momentum=30 * RATES if stacked else 0.9
    ),
    "nesterov": lambda stacked: Nesterov(
        lr=RATES if stacked else 0.01, batch_size=M, schedule=CONSTANT, momentum=0.9
    ),
    "adadelta": lambda stacked: AdaDelta(
        lr=1.0, batch_size=M, schedule=CONSTANT, rho=0.9, eps=RATES if stacked else 1e-6
    ),
    "adam": lambda stacked: Adam(
        lr=RATES if stacked else 0.01,
        batch_size=M,
        schedule=Cosine(warm_up=2, final=0.1),
        beta1=0.9,
        beta2=1 - RATES if stacked else 0.99,
        eps=1e-8,
    ),
    "ngd": lambda stacked: natural_gradient(
        M,
        samples=2,
        metric=kronecker(split="pi"),
        damping=levenberg_marquardt(1e-2, RATES * 1e-3 if stacked else 1e-8),
    ),
    "line": lambda stacked: natural_gradient(M, step_rule=Line(previous=True, examples=9)),
    "layerwise": lambda stacked: natural_gradient(M, step_rule=Layerwise(True, None, 2.0)),
    "diagonal": lambda stacked: natural_gradient(M, metric=Diagonal(0.0, 0.5, "sampled")),
    "sample space": lambda stacked: natural_gradient(M, samples=2, metric=SampleSpace("sampled")),
    "empirical Fisher": lambda stacked: natural_gradient(M, metric=SampleSpace("data")),
}


class Operations(TorchDispatchMode):
    """Every operation on tensors, in order: what a CUDA graph would hold."""

    def __init__(self):
        super().__init__()
        self.done, self.before = [], {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function.overloadpacket not in READS, "the host reads a number"
        for tensor in flat((args, kwargs)):
            storage = tensor.untyped_storage()
            self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = function(*args, **(kwargs or {}))
        self.done.append((function, args, kwargs or {}, result))
        return result

    def replay(self):
        """Each operation again, on the memory it had, its result into the memory of its result."""
        for function, args, kwargs, before in self.done:
            after = function(*args, **kwargs)
            for old, new in zip(flat(before), flat(after), strict=True):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)

    def put_back(self):
        """Every memory that an operation read or wrote as it was before the first one did."""
        for storage, before in self.before.values():
            storage.copy_(before)


def flat(result):
    found = []
    tree_map_only(torch.Tensor, found.append, result)
    return found


def acted_out(function, generators):
    """As `nglab.capture.cuda_graph`: recorded, not run, so that what the recording changed is put back."""
    operations = Operations()
    states = [g.get_state() for g in generators]
    with operations:
        function()
    operations.put_back()
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
    return operations.replay


def problem(name, network, stacked, device="cpu"):
    count = len(RATES) if stacked else 1
    singles = [random_parameters(network, 1.0, rng(r)) for r in range(count)]
    stacks = [torch.stack(g, dim=1) for g in zip(*(p.stacks for p in singles), strict=True)]
    params = Layers(network, stacks) if stacked else singles[0]
    params = params.map(lambda stack: stack.to(device))
    leading = (count,) if stacked else ()
    x = randn(7, *leading, M, network.widths[0], seed=1).to(device)
    y = randn(7, *leading, M, network.widths[-1], seed=2).to(device)
    optimizer = OPTIMIZERS[name](stacked)
    generators = [torch.Generator(device).manual_seed(r) for r in range(count)]
    return (
        optimizer,
        params,
        optimizer.init(Task(network, Gaussian(), 7), params, lambda _: generators),
        x,
        y,
    )


def plain(name, network, stacked, device="cpu"):
    optimizer, params, state, x, y = problem(name, network, stacked, device)
    for one_x, one_y in zip(x, y, strict=True):
        params, state = optimizer.step(params, state, one_x, one_y)
    return params, optimizer.diagnostics(state)


@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stack"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", OPTIMIZERS)
@torch.inference_mode()
def test_a_replayed_step_does_all_that_a_step_does(name, network, stacked, monkeypatch):
    monkeypatch.setattr(CompiledDescent, "of", lambda *_, **__: None)  # it rounds otherwise
    monkeypatch.setattr(SGD, "graph_steps", 3)
    monkeypatch.setattr(FirstOrder, "graph_steps", 3)
    optimizer, params, state, x, y = problem(name, NETWORKS[network], stacked)
    captured = CapturedSteps(
        optimizer.step, optimizer.graph_steps, params, state, x[0], y[0], acted_out
    )
    done = captured.run(x, y)
    assert done == 7 - 7 % optimizer.graph_steps
    for one_x, one_y in zip(x[done:], y[done:], strict=True):
        optimizer.step(params, state, one_x, one_y)
    expected, diagnostics = plain(name, NETWORKS[network], stacked)
    for ours, theirs in zip(params, expected, strict=True):
        assert torch.equal(ours, theirs)
    for key, value in optimizer.diagnostics(state).items():
        assert torch.equal(value, diagnostics[key])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_of_captured_steps_is_a_run(name, monkeypatch):
    monkeypatch.setattr(
        "nglab.training.loop.CapturedSteps", partial(CapturedSteps, record=acted_out)
    )
    monkeypatch.setattr(SGD, "graph_steps", 3)
    monkeypatch.setattr(FirstOrder, "graph_steps", 3)

    def rows(cuda_graph):
        network = NETWORKS["tanh"]
        return list(train(Problem(
            network,
            Gaussian(),
            Teacher(20 * M, 30, 1e-2, 5.0).dataset(network, 1.0, 0),
            random_parameters(network, 1.0, rng(1)),
            OPTIMIZERS[name](False),
            lambda purpose: [stream(0, purpose)],
            cuda_graph=cuda_graph,
        ), 2, 7 * M))  # fmt: skip

    for captured, plain_ in zip(rows(True), rows(False), strict=True):
        assert captured.step == plain_.step
        assert torch.equal(captured.test_loss, plain_.test_loss)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stack"])
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", OPTIMIZERS)
@torch.inference_mode()
def test_on_a_gpu_captured_steps_are_plain_steps(name, network, stacked):
    optimizer, params, state, x, y = problem(name, NETWORKS[network], stacked, "cuda")
    optimizer.step(  # libraries make their handles and workspaces
        params.map(torch.clone), problem(name, NETWORKS[network], stacked, "cuda")[2], x[0], y[0]
    )
    captured = CapturedSteps(optimizer.step, optimizer.graph_steps, params, state, x[0], y[0])
    done = captured.run(x, y)
    for one_x, one_y in zip(x[done:], y[done:], strict=True):
        optimizer.step(params, state, one_x, one_y)
    expected, _ = plain(name, NETWORKS[network], stacked, "cuda")
    for ours, theirs in zip(params, expected, strict=True):
        assert_close(ours, theirs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stack"])
@pytest.mark.parametrize("network", NETWORKS)
@torch.inference_mode()
def test_a_gpu_steps_as_the_cpu_does(network, stacked):
    on_gpu, _ = plain("sgd", NETWORKS[network], stacked, "cuda")
    on_cpu, _ = plain("sgd", NETWORKS[network], stacked)
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert_close(ours.cpu(), theirs)
