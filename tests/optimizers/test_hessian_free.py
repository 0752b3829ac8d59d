import itertools
import math

import pytest
import torch
from dense_reference import autograd_gradient, network_output, output_jacobian, squared_error
from problems import (
    CONSTANT,
    NETWORKS,
    levenberg_marquardt,
    randn,
    random_batch,
    random_params,
    task_of,
)
from torch.testing import assert_close

from nglab.networks.layers import to_vector
from nglab.networks.network import Network
from nglab.optimizers.krylov_methods.backtracking import best_iterate, line_search
from nglab.optimizers.krylov_methods.hessian_free import HessianFree
from nglab.optimizers.krylov_methods.model_descent import KEPT, _stalled, descend

NETWORK = NETWORKS["tanh with bias"]
LAMBDA = torch.tensor(0.03, dtype=torch.float64)


def hessian_free(batch_size=9, damping=1e-2, **changes):
    settings = {
        "lr": 1.0,
        "batch_size": batch_size,
        "schedule": CONSTANT,
        "examples": None,
        "max_steps": 250,
        "tolerance": 5e-4,
        "warm_start": 0.95,
        "power": 0.75,
        "structural": 0.0,
        "damping": levenberg_marquardt(damping),
    }
    return HessianFree(**settings | changes)


class Run:
    """One network trained on one batch; `before` are the parameters before the last step."""

    def __init__(self, method, network=NETWORK):
        self.method, self.network = method, network
        self.params, (self.x, self.y) = (
            random_params(network),
            random_batch(network, method.batch_size),
        )
        self.state = method.init(task_of(network), self.params, lambda purpose: [])

    def step(self):
        self.before = [w.clone() for w in self.params]
        self.params, self.state = self.method.step(self.params, self.state, self.x, self.y)
        return self

    def loss(self, weights):
        return squared_error(self.network, weights, self.x, self.y)

    def after(self, theta):
        """h at the parameters before the last step plus θ."""
        parts = theta.split([w.numel() for w in self.before])
        return self.loss([w + p.view_as(w) for w, p in zip(self.before, parts, strict=True)])

    def descent(self):
        """−∇h before the last step."""
        return -to_vector(autograd_gradient(self.network, self.before, self.x, self.y))

    def ggn(self, examples=None):
        j = output_jacobian(self.network, self.before, self.x[:examples])
        return torch.einsum("mip,miq->pq", j, j) / len(j)


def hidden_change(network, weights, x):
    """S = ⟨Σ_{i<L} J_iᵀ J_i⟩ by autodiff."""
    shapes = [w.shape for w in weights]

    def hidden(theta):
        parts = theta.split([shape.numel() for shape in shapes])
        layers = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        return torch.cat(network_output(network, layers, x)[1:-1], 1)

    j = torch.func.jacrev(hidden)(to_vector(weights))
    return torch.einsum("mip,miq->pq", j, j) / len(x)


EXACT = {"tolerance": 1e-14, "max_steps": 2000}


@pytest.mark.parametrize("structural", [0.0, 0.7])
@pytest.mark.parametrize("examples", [None, 5])
@pytest.mark.parametrize("power", [0.0, 0.75])
def test_the_solution_is_that_of_the_dense_system(structural, examples, power):
    method = hessian_free(
        damping=0.1, structural=structural, examples=examples, power=power, **EXACT
    )
    run = Run(method).step()
    system = run.ggn(examples) + 0.1 * torch.eye(len(run.descent()))
    system += 0.1 * structural * hidden_change(NETWORK, run.before, run.x[:examples])
    expected = torch.linalg.solve(system, run.descent())
    assert_close(run.state.solution, expected, rtol=1e-6, atol=1e-8)


def test_the_ratio_is_that_of_the_model_without_damping():
    run = Run(hessian_free(damping=0.3, lr=0.8, structural=0.5)).step()
    step, descent = 0.8 * run.state.solution, run.descent()
    predicted = descent @ step - 0.5 * step @ run.ggn() @ step
    expected = (run.loss(run.before) - run.after(step)) / predicted
    assert_close(run.state.reduction_ratio, expected)
    assert_close(run.state.damping.value, torch.tensor(0.3 / 1.5).double())  # ρ > 3/4
    assert expected > 0.75


def test_conjugate_gradient_starts_from_a_share_of_where_it_ended():
    run = Run(hessian_free(damping=0.1, max_steps=1, power=0.0)).step()
    start, damping = 0.95 * run.state.solution, run.state.damping.value.clone()
    run.step()
    a = run.ggn() + damping * torch.eye(len(start))
    r = run.descent() - a @ start
    assert_close(run.state.solution, start + (r @ r) / (r @ a @ r) * r)
    assert run.state.cg_steps == 1


def plain_conjugate_gradient(a, b, x, steps):
    """x_0, x_1, … by the textbook."""
    r = b - a @ x
    p, xs = r, [x]
    for _ in range(steps):
        alpha = (r @ r) / (p @ a @ p)
        x, new = x + alpha * p, r - alpha * a @ p
        p, r = new + (new @ new) / (r @ r) * p, new
        xs.append(x)
    return xs


def ill_conditioned(n, seed):
    q = torch.linalg.qr(randn(n, n, seed=seed)).Q
    return q @ torch.diag(torch.logspace(-4, 0, n).double()) @ q.T


@pytest.mark.parametrize("tolerance", [5e-2, 5e-3, 5e-4])
@pytest.mark.parametrize("scale", [1.0, 2.0**-10])
def test_it_stops_by_relative_progress_and_keeps_iterates(tolerance, scale):
    """At the same step however small the objective is: powers of two leave the rounding as it is."""
    a, b, start = ill_conditioned(200, 0), scale * randn(200, seed=1), scale * randn(200, seed=2)
    damped = a + 1e-3 * torch.eye(200)
    xs = plain_conjugate_gradient(damped, b, start, 120)
    phi = [float(0.5 * x @ damped @ x - b @ x) for x in xs]

    def stalled(k):
        n = max(10, math.ceil(0.1 * k))
        return k > n and phi[k] < 0 and (phi[k] - phi[k - n]) / phi[k] < n * tolerance

    last = next(k for k in range(1, 121) if stalled(k))
    found = descend(a, b, torch.tensor(1e-3).double(), start, lambda r: r, tolerance, max_steps=250)
    assert found.steps == last > 11
    kept = sorted({k for k in KEPT if k < last} | {last})
    assert kept[:9] == [1, 2, 3, 4, 5, 7, 9, 11, 14][: len(kept)]
    for k, x in zip(kept, found.kept, strict=True):
        assert float(0.5 * x @ damped @ x - b @ x) == pytest.approx(phi[k], rel=1e-4)
        assert k > 20 or torch.allclose(x, xs[k], rtol=1e-6, atol=1e-6 * scale)


def test_the_progress_counts_over_a_tenth_of_the_steps():
    """Of 300 the last 30: none over 25, and over 35 as much as before; with ten steps at the least."""
    for steps, window in ((300, 30), (60, 10)):
        fallen = [-50.0] * (steps - window + 5) + [-100.0] * (window - 4)
        assert not _stalled(fallen, 0.01)
        assert _stalled([-50.0] * (steps - window) + [-100.0] * (window + 1), 0.01)


def test_it_stops_at_the_most_steps_and_without_positive_curvature():
    a, b, zero = ill_conditioned(50, 0), randn(50, seed=1), torch.zeros(50).double()
    found = descend(a, b, LAMBDA, zero, lambda r: r, 1e-9, max_steps=7)
    assert found.steps == 7 and len(found.kept) == 6
    found = descend(-a, b, torch.zeros(()).double(), zero, lambda r: r, 1e-9, max_steps=7)
    assert found.steps == 1 and found.last.count_nonzero() == 0


def test_backtracking_goes_back_as_long_as_the_loss_does_not_rise():
    losses = [1.0, 0.5, 0.8, 0.3, 0.3, 0.6, math.inf]
    iterates = [torch.tensor([float(i)]) for i in range(len(losses))]
    asked = []

    def loss_after(x):
        asked.append(int(x))
        return losses[int(x)]

    best, loss, of_last = best_iterate(iterates, loss_after)
    assert (int(best), loss, of_last, asked) == (3, 0.3, math.inf, [6, 5, 4, 3, 2])


@pytest.mark.parametrize("curvature", [1.0, 10.0, 100.0])
def test_the_line_search_finds_the_first_that_falls_enough(curvature):
    """h(s) = −s + ½ c s² falls by c₁ t where t ≤ 2 (1 − c₁) / c."""
    h = lambda s: float(-s + 0.5 * curvature * s**2)  # noqa: E731
    one = torch.ones(1).double()
    t = line_search(one, 1.0, 0.0, h(1.0), h)
    expected = next(0.8**j for j in range(60) if 0.8**j <= 2 * (1 - 1e-2) / curvature)
    assert t == pytest.approx(expected)
    assert line_search(one, -1.0, 0.0, 1.0, lambda s: 1.0) == 0.0


def test_a_step_that_finds_nothing_lower_is_not_taken():
    run = Run(hessian_free(damping=1e-2))
    run.x.mul_(1e200)  # nothing that it asks for is finite
    run.step()
    assert all(torch.equal(w, b) for w, b in zip(run.params, run.before, strict=True))
    assert run.state.skipped_steps == 1 and run.state.solution.count_nonzero() == 0
    assert_close(run.state.damping.value, torch.tensor(1.5e-2).double())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_of_the_batch_never_rises(name):
    run = Run(hessian_free(batch_size=12, damping=1e-4), NETWORKS[name])
    losses = [run.loss(run.params)]
    for _ in range(8):
        losses.append(run.step().loss(run.params))
    assert all(new <= old + 1e-14 for old, new in itertools.pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_least_squares_takes_one_step():
    network = Network((3, 2), bias=True)
    run = Run(hessian_free(batch_size=20, damping=1e-8, **EXACT), network).step()
    x = torch.cat([run.x, torch.ones(20, 1)], 1)
    assert_close(run.params[0], torch.linalg.lstsq(x, run.y).solution.T, rtol=1e-5, atol=1e-5)
    assert_close(run.state.reduction_ratio, torch.tensor(1.0).double(), rtol=1e-6, atol=0)
