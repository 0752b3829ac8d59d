"""Compiled descent: as the Python step, which defines it, over random networks; and clean under sanitizers."""

import subprocess
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest
import torch
from fresh_python import COMPILES
from torch.testing import assert_close

from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.native import library
from nglab.native.compiler import compiler
from nglab.native.descent_kernels import PHI
from nglab.native.instruction_set import compiler_flags, levels
from nglab.native.library import HERE
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.first_order import compiled
from nglab.optimizers.first_order.compiled import CompiledDescent
from nglab.optimizers.first_order.momentum import Momentum
from nglab.optimizers.first_order.nesterov import Nesterov
from nglab.optimizers.optimizer import Optimizer, Task
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.schedules.cosine import Cosine
from nglab.optimizers.sgd import SGD

CONSTANT, FALLING = Constant(warm_up=0), Cosine(warm_up=2, final=0.1)
needs_it = pytest.mark.skipif(library.library() is None, reason="no compiled code here")


@dataclass
class Case:
    """A method with all that its steps take; a stack's networks have rates and momenta of their own."""

    optimizer: Optimizer
    network: Network
    params: Layers
    x: torch.Tensor
    y: torch.Tensor

    def trained(self, in_a_chunk: bool) -> Layers:
        params = self.params.map(torch.clone)
        task = Task(self.network, Gaussian(), 20)
        state = self.optimizer.init(task, params, lambda purpose: [])
        assert (
            state.compiled if isinstance(self.optimizer, SGD) else state.work.compiled
        ) is not None
        cut = len(self.x) // 3  # a chunk goes on where another ended
        for x, y in ((self.x[:cut], self.y[:cut]), (self.x[cut:], self.y[cut:])):
            if in_a_chunk:
                params, state = self.optimizer.steps(params, state, x, y)
            else:
                params, state = Optimizer.steps(self.optimizer, params, state, x, y)
        return params


def random_case(seed: int, method: type[Optimizer], activation: str, bias: bool, replicas: int | None,
                dtype: torch.dtype, examples: int | None = None) -> Case:  # fmt: skip
    rng = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=rng))

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    network = Network(tuple(number(1, 24) for _ in range(number(2, 6))), activation, bias)
    leading = () if replicas is None else (replicas,)
    layers = [normal(*leading, *shape) / shape[1] ** 0.5 for shape in network.shapes]
    m, steps = examples or number(1, 30), number(1, 7)
    settings = {"lr": 0.02, "momentum": 0.8}
    if replicas is not None:
        settings = {
            key: torch.linspace(0.3, 1, replicas).double() * v for key, v in settings.items()
        }
    if method is SGD:
        del settings["momentum"]
    schedule = (CONSTANT, FALLING)[number(0, 1)]
    return Case(
        method(**settings, batch_size=m, schedule=schedule), network, Layers.of(network, layers),
        normal(steps, *leading, m, network.widths[0]), normal(steps, *leading, m, network.widths[-1]),
    )  # fmt: skip


@needs_it
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("seed", range(16))
def test_by_blas_plain_descent_of_a_linear_network_is_the_step_bit_for_bit(
    seed, dtype, monkeypatch
):
    monkeypatch.setattr(compiled, "IN_CACHE", 0)
    case = random_case(seed, SGD, "identity", False, None, dtype)
    for ours, theirs in zip(case.trained(True), case.trained(False), strict=True):
        assert torch.equal(ours, theirs)


@needs_it
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("replicas", [None, 1, 3, 8, 21, 40])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("activation", PHI)
@pytest.mark.parametrize("method", [SGD, Momentum, Nesterov])
def test_every_kind_is_the_step_to_rounding(method, activation, bias, replicas, dtype):
    for seed in range(3):
        case = random_case(seed, method, activation, bias, replicas, dtype)
        tolerance = 2e-4 if dtype is torch.float32 else 1e-11
        for ours, theirs in zip(case.trained(True), case.trained(False), strict=True):
            assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@needs_it
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("activation", PHI)
@pytest.mark.parametrize("method", [SGD, Momentum, Nesterov])
def test_a_network_of_a_stack_is_the_network_alone_bit_for_bit(
    method, activation, bias, dtype, monkeypatch
):
    monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    for seed in range(3):
        case = random_case(seed, method, activation, bias, 21, dtype)
        together = case.trained(True)
        for r in (0, 7, 20):
            settings = {
                f.name: v[r].item()
                for f in fields(case.optimizer)
                if isinstance(v := getattr(case.optimizer, f.name), torch.Tensor)
            }
            alone = Case(
                replace(case.optimizer, **settings), case.network,
                Layers.of(case.network, [w[r] for w in case.params]), case.x[:, r], case.y[:, r],
            ).trained(True)  # fmt: skip
            assert all(torch.equal(w[r], v) for w, v in zip(together, alone, strict=True))


@needs_it
def test_large_batches_whose_values_lie_otherwise_in_memory(monkeypatch):
    monkeypatch.setattr("nglab.networks.layers.BY_COLUMNS", 100)
    case = random_case(0, SGD, "tanh", True, None, torch.float64, examples=101)
    for ours, theirs in zip(case.trained(True), case.trained(False), strict=True):
        assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@needs_it
def test_networks_too_large_to_lie_side_by_side_go_one_after_another(monkeypatch):
    monkeypatch.setattr(compiled, "IN_CACHE", 0)
    case = random_case(1, Momentum, "tanh", True, 20, torch.float64)
    for ours, theirs in zip(case.trained(True), case.trained(False), strict=True):
        assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


@needs_it
def test_what_has_blown_up_stays_so():
    case = random_case(2, SGD, "relu", False, 17, torch.float32)
    case.x[0, 3] = torch.nan
    case.params.stacks[0][:, 5] = torch.inf
    trained = case.trained(True)
    blown = [not all(w[r].isfinite().all() for w in trained) for r in range(17)]
    assert [r for r in range(17) if blown[r]] == [3, 5]


@pytest.mark.parametrize(
    ("network", "likelihood", "dtype"),
    [
        (Network((3, 2), "softplus"), Gaussian(), torch.float32),
        (Network((3, 2)), Categorical(), torch.float32),
        (Network((3, 2)), Gaussian(), torch.float16),
    ],
    ids=["activation", "likelihood", "numbers"],
)
def test_what_it_does_not_have_is_left_to_the_step(network, likelihood, dtype):
    params = Layers.of(network, [torch.zeros(shape, dtype=dtype) for shape in network.shapes])
    assert CompiledDescent.of(Task(network, likelihood, 1), params, 4, momentum=False) is None


def test_without_compiled_code_the_step_does_it(monkeypatch):
    monkeypatch.setattr("nglab.native.descent_kernels.library", lambda: None)
    network = Network((3, 2))
    params = Layers.of(network, [torch.zeros(shape) for shape in network.shapes])
    sgd = SGD(lr=0.1, batch_size=4, schedule=CONSTANT)
    state = sgd.init(Task(network, Gaussian(), 1), params, lambda purpose: [])
    assert state.compiled is None
    params, _ = sgd.steps(params, state, torch.ones(2, 4, 3), torch.ones(2, 4, 2))
    assert params[0].abs().min() > 0


@pytest.mark.skipif(not COMPILES, reason="there is no C compiler")
@pytest.mark.parametrize("level", levels())
def test_it_is_clean_under_sanitizers(level, tmp_path):
    program = tmp_path / "descent"
    source = Path(__file__).parent / "descent_under_sanitizers.c"
    checks = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    run = [
        *(compiler() or []),
        *checks,
        *compiler_flags(level),
        f"-I{HERE}",
        str(source),
        "-o",
        str(program),
        "-lm",
    ]
    made = subprocess.run(run, capture_output=True, text=True)
    if made.returncode and "san" in made.stderr.lower():
        pytest.skip("no sanitizers")
    assert made.returncode == 0, made.stderr
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
