import pytest
import torch
from dense_reference import autograd_gradient, output_jacobian, squared_error
from problems import CONSTANT, NETWORKS, randn, random_batch, random_params, task_of
from torch.testing import assert_close

from nglab.errors import InputError
from nglab.networks.layers import to_vector
from nglab.networks.network import Network
from nglab.optimizers.krylov_methods.bfgs import Point, bfgs, line_search_wolfe
from nglab.optimizers.krylov_methods.krylov import Krylov
from nglab.optimizers.krylov_methods.krylov_space import krylov_subspace

NETWORK = NETWORKS["tanh with bias"]


def krylov(batch_size=20, **changes):
    settings = {
        "lr": 1.0,
        "batch_size": batch_size,
        "schedule": CONSTANT,
        "directions": 6,
        "max_steps": 30,
        "power": 0.75,
        "floor": 1e-4,
    }
    return Krylov(**settings | changes)


def spd(n, seed):
    u = randn(n + 2, n, seed=seed)
    return u.T @ u / n


def projector(columns):
    q = torch.linalg.qr(columns).Q
    return q @ q.T


@pytest.mark.parametrize("count", [1, 3, 6])
def test_the_basis_is_orthonormal_and_spans_the_krylov_space(count):
    a, b, beside = spd(12, 0), randn(12, seed=1), randn(12, seed=2)
    scale = 0.5 + torch.rand(12, dtype=torch.float64)
    found = krylov_subspace(a, b, lambda r: scale * r, count, beside)
    powers = [scale * b]
    for _ in range(count - 1):
        powers.append(scale * (a @ powers[-1]))
    v = found.basis
    assert_close(v @ v.T, torch.eye(count + 1).double())
    columns = torch.stack([*powers, beside], 1)
    assert_close(v.T @ v, projector(columns / columns.norm(dim=0)), rtol=1e-6, atol=1e-8)
    assert_close(found.curvature, v @ a @ v.T)


def test_what_is_in_the_span_already_is_left_out():
    u = torch.linalg.qr(randn(12, 3, seed=0)).Q  # A has rank 3: no more than b, A b, A² b, A³ b
    a, b = u @ torch.diag(torch.tensor([1.0, 2.0, 3.0]).double()) @ u.T, randn(12, seed=1)
    none = torch.zeros(12).double()
    assert len(krylov_subspace(a, b, lambda r: r, 8, beside=none).basis) == 4
    assert len(krylov_subspace(a, u @ randn(3, seed=2), lambda r: r, 8, beside=none).basis) == 3
    assert len(krylov_subspace(a, b, lambda r: r, 8, beside=a @ b).basis) == 4
    for nothing in (none, none + torch.nan):
        assert len(krylov_subspace(a, nothing, lambda r: r, 8, beside=none).basis) == 0


def rosenbrock(x):
    x = x.clone().requires_grad_()
    value = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    (slope,) = torch.autograd.grad(value, x)
    return Point(x.detach(), float(value.detach()), slope)


def test_bfgs_finds_the_minimum_of_rosenbrocks_function():
    start = torch.tensor([-1.2, 1.0]).double()
    end, steps = bfgs(rosenbrock, start, 100)
    assert_close(end.x, torch.ones(2).double(), rtol=1e-6, atol=1e-6)
    assert 20 < steps < 60
    values = [bfgs(rosenbrock, start, k)[0].value for k in range(20)]
    assert values == sorted(values, reverse=True)


def test_bfgs_finds_the_minimum_of_a_quadratic():
    a, b = spd(6, 0), randn(6, seed=1)
    f = lambda x: Point(x, float(0.5 * x @ a @ x - b @ x), a @ x - b)  # noqa: E731
    end, _ = bfgs(f, torch.zeros(6).double(), 60)
    assert_close(end.x, torch.linalg.solve(a, b), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("minimum", "t"), [(100.0, 16.0), (1.5, 1.0), (0.4, 0.5), (0.03, 0.03125)])
def test_the_line_search_doubles_and_halves(minimum, t):
    """½(x − m)² from 0 along 1: the first of 1, 2, 4 … or ½, ¼ … where the slope is a tenth less, the value lower."""

    def f(x):
        return Point(x, float((x - minimum).square().sum() / 2), x - minimum)

    start = torch.zeros(1, dtype=torch.float64)
    found = line_search_wolfe(f, f(start), torch.ones(1, dtype=torch.float64))
    assert found.x.item() == t


def test_bfgs_stays_where_nothing_is_lower():
    nan = lambda x: Point(x, float("nan") if x.any() else 1.0, torch.ones(2))  # noqa: E731
    end, steps = bfgs(nan, torch.zeros(2), 5)
    assert steps == 0 and not end.x.any()


def halves(method, network, seed=0):
    """Parameters, and the two halves of a batch, of different sizes where it is odd."""
    x, y = random_batch(network, method.batch_size, seed)
    half = method.batch_size // 2
    return random_params(network), (x, y), (x[:half], y[:half]), (x[half:], y[half:])


def test_one_step_of_bfgs_is_that_of_the_dense_model():
    """a = −(V G Vᵀ)⁻¹ V ∇h, G and V of the one half and ∇h of the other."""
    method = krylov(batch_size=21, max_steps=1, directions=4, power=0.5, floor=1e-12)
    params, (x, y), first, second = halves(method, NETWORK)
    before = [w.clone() for w in params]
    state = method.init(task_of(NETWORK), params, lambda purpose: [])

    j = output_jacobian(NETWORK, before, first[0])
    g = torch.einsum("mip,miq->pq", j, j) / len(j)
    descent = [-to_vector(autograd_gradient(NETWORK, before, *half)) for half in (first, second)]
    singles = [
        autograd_gradient(NETWORK, before, a[None], b[None]) for a, b in zip(*first, strict=True)
    ]
    squares = torch.stack([to_vector(single) ** 2 for single in singles]).mean(0)
    scale = squares.clamp(min=1e-12 * squares.max()) ** -0.5
    powers = [scale * descent[0]]
    for _ in range(3):
        powers.append(scale * (g @ powers[-1]))
    v = torch.linalg.qr(torch.stack(powers, 1)).Q
    expected = v @ torch.linalg.solve(v.T @ g @ v, v.T @ descent[1])

    params, state = method.step(params, state, x, y)
    moved = to_vector([w - b for w, b in zip(params, before, strict=True)])
    share = float(moved @ expected / (expected @ expected))  # 1, or where Wolfe's search ends
    assert_close(moved, share * expected, rtol=1e-4, atol=1e-7)
    assert share in (pytest.approx(1.0, abs=1e-5), pytest.approx(0.5, abs=1e-5))
    assert_close(state.previous, moved)
    assert (state.directions, state.bfgs_steps) == (4, 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_of_the_second_half_never_rises(name):
    network, method = NETWORKS[name], krylov()
    params, (x, y), _, second = halves(method, network)
    state = method.init(task_of(network), params, lambda purpose: [])
    for _ in range(5):
        before, skipped = squared_error(network, params, *second), float(state.skipped_steps)
        params, state = method.step(params, state, x, y)
        after = squared_error(network, params, *second)
        assert after < before if state.skipped_steps == skipped else after == before


def test_a_step_must_promise_some_gain():
    function = lambda x: Point(x, 1.0 + float(x @ x), 2 * x)  # noqa: E731
    start = torch.tensor([0.1]).double()  # the model's gain is 2 · 0.1²
    assert bfgs(function, start, 5, least_gain=0.021)[1] == 0
    assert bfgs(function, start, 5, least_gain=0.019)[1] > 0


def test_where_there_is_no_direction_there_is_no_step():
    network = NETWORKS["one layer"]
    params, (x, _) = random_params(network), random_batch(network, 20)
    method = krylov()
    state = method.init(task_of(network), params, lambda purpose: [])
    before = params.map(torch.clone)
    after, state = method.step(params, state, 0 * x, torch.zeros(20, 2).double())
    assert all(torch.equal(w, old) for w, old in zip(after, before, strict=True))
    assert (state.directions, state.bfgs_steps, state.skipped_steps) == (0, 0, 1)


def test_the_last_step_is_one_of_the_directions():
    params, (x, y), _, _ = halves(krylov(), NETWORK)
    method = krylov(directions=1)
    state = method.init(task_of(NETWORK), params, lambda purpose: [])
    spans = []
    for _ in range(2):
        params, state = method.step(params, state, x, y)
        spans.append(int(state.directions))
    assert spans == [1, 2]


def test_least_squares_takes_one_step():
    """Of a layer with the same examples in both halves; the space is whole."""
    network = Network((3, 2))
    method = krylov(batch_size=40, directions=20, power=0.0, floor=1e-12, max_steps=1)
    x, y = random_batch(network, 20)
    params = random_params(network)
    state = method.init(task_of(network), params, lambda purpose: [])
    params, _ = method.step(params, state, torch.cat([x, x]), torch.cat([y, y]))
    assert_close(params[0], torch.linalg.lstsq(x, y).solution.T, rtol=1e-6, atol=1e-7)


def test_a_batch_without_halves_is_refused():
    with pytest.raises(InputError, match=r"optimizer\.batch_size"):
        krylov(batch_size=1).check("optimizer", None)
