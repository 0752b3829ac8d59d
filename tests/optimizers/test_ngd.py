import copy
from dataclasses import dataclass

import pytest
import torch
from dense_reference import autograd_gradient, natural_gradient_step, squared_error
from problems import (
    NETWORKS,
    kronecker,
    natural_gradient,
    random_batch,
    random_params,
    replicas,
    rng,
    task_of,
)
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt
from nglab.curvature.diagonal import Diagonal
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.ngd import NGD
from nglab.optimizers.steps.layerwise import Layerwise
from nglab.optimizers.steps.line import Line
from nglab.optimizers.steps.step_rule import StepRule
from nglab.training.state import pack, unpack

M = 24


def ngd(damping: float = 0.1, lr: float = 0.7, samples: int = 2, split: str = "equal") -> NGD:
    return natural_gradient(M, damping, lr=lr, samples=samples, metric=kronecker(split=split))


def stream(purpose: str) -> list[torch.Generator]:
    assert purpose == "sampled targets"
    return [rng(5)]


def one_step(optimizer, network, params, x, y):
    state = optimizer.init(task_of(network), params, stream)
    return optimizer.step(params.map(torch.clone), state, x, y)


def sampled_noise(network, samples):
    return torch.empty(samples, M, network.widths[-1], dtype=torch.float64).normal_(
        generator=rng(5)
    )


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("samples", [1, 3])
def test_a_step_is_equation_20(name, samples):
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, _ = one_step(ngd(samples=samples), network, params, x, y)
    noise = sampled_noise(network, samples)
    expected = natural_gradient_step(network, list(params), x, y, noise, alpha=0.7, damping=0.1)
    for ours, theirs in zip(new, expected, strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("name", ["square", "tanh with bias"])
def test_the_true_targets_do_not_enter_the_curvature(name):
    """With the gradient removed by linearity: ΔW is linear in y − x_L where Λ and Λ̃ do not depend on y."""
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    steps = []
    for target in (y, 2 * y, 3 * y):
        new, _ = one_step(ngd(), network, params, x, target)
        steps.append(torch.cat([(a - b).flatten() for a, b in zip(new, params, strict=True)]))
    assert_close(steps[1] - steps[0], steps[2] - steps[1])


@pytest.mark.parametrize("name", ["bottleneck", "relu with bias"])
def test_large_damping_gives_a_gradient_step(name):
    """λ → ∞: ΔW_i → α/(Lλ) ⟨e_i x_{i−1}ᵀ⟩."""
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    damping = 1e12
    new, _ = one_step(ngd(damping), network, params, x, y)
    for w, old, g in zip(new, params, autograd_gradient(network, list(params), x, y), strict=True):
        scaled = (w - old) * damping * network.depth / 0.7
        assert_close(scaled, -g, rtol=1e-3, atol=1e-3)


def test_reduction_ratio_is_actual_over_predicted_decrease():
    network = NETWORKS["tanh with bias"]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, state = one_step(ngd(), network, params, x, y)
    actual = squared_error(network, list(params), x, y) - squared_error(network, list(new), x, y)
    gradients = autograd_gradient(network, list(params), x, y)
    inner = sum(  # Σ tr(d_iᵀ ⟨e_i x_{i−1}ᵀ⟩), d = ΔW / α
        ((w - old) / 0.7 * -g).sum() for w, old, g in zip(new, params, gradients, strict=True)
    )
    assert_close(state.reduction_ratio, actual / ((0.7 - 0.7**2 / 2) * inner))


def test_pi_split_balances_the_factors():
    """Scaling the inputs by c scales Λ by c²; π follows, so the damped step is what it was for c = 1, rescaled."""
    network = NETWORKS["one layer"]
    params, (x, y) = random_params(network), random_batch(network, M)
    zero = params.map(torch.zeros_like)
    step = one_step(ngd(split="pi", samples=1), network, zero, x, y)[0][0]
    # h's curvature in W is Λ ⊗ Λ̃ and λ adds to it: with x → c x the same step needs W → W / c and λ → c² λ
    scaled = one_step(ngd(damping=0.1 * 9, split="pi", samples=1), network, zero, 3 * x, y)[0][0]
    assert_close(3 * scaled, step)
    equal = one_step(ngd(damping=0.1 * 9, samples=1), network, zero, 3 * x, y)[0][0]
    assert not torch.allclose(3 * equal, step, rtol=1e-2)


def test_a_failed_factorisation_skips_the_step_and_raises_the_damping():
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    x = torch.zeros_like(x)  # Λ = 0; with λ = 0 nothing can be factorised
    optimizer = natural_gradient(M, 0.0)
    new, state = one_step(optimizer, network, params, x, y)
    for w, old in zip(new, params, strict=True):
        assert torch.equal(w, old)
    assert state.skipped_steps == 1
    assert state.damping.value == 1e-8


def test_a_failure_in_the_first_block_of_a_large_factor_is_reported():
    """Λ has 300 columns and is inverted by blocks; with λ = 0 and a unit that is always 0 its 11th pivot is 0."""
    network = Network((300, 2))
    params, (x, y) = random_params(network), random_batch(network, 400)
    x[:, 10] = 0
    new, state = one_step(natural_gradient(400, 0.0), network, params, x, y)
    assert torch.equal(new[0], params[0])
    assert state.skipped_steps == 1 and state.damping.value == 1e-8
    assert not state.metric.solved
    assert state.metric.work.info.tolist() == [11, 0]


def test_a_step_to_infinity_is_not_taken():
    network = NETWORKS["square"]
    params, (x, y) = random_params(network), random_batch(network, M)
    new, state = one_step(ngd(lr=1e308), network, params, x, y)
    assert all(torch.equal(w, old) for w, old in zip(new, params, strict=True))
    assert_close(state.damping.value, torch.tensor(0.15, dtype=torch.float64))


SCALES = []


@dataclass(frozen=True)
class Rescaled(StepRule):
    """W + ΔW is W times the next of SCALES; it promises a decrease of 1."""

    def propose_(self, state, params, rate, batch, direction, damping, trial):
        scale = SCALES.pop(0)
        for w, new in zip(params.pieces, trial.pieces, strict=True):
            torch.mul(w, scale, out=new)
        return torch.ones_like(rate)


@pytest.mark.parametrize("idle", [0, 1, 2], ids="{} batches without a loss first".format)
def test_a_step_may_leave_ten_times_the_loss_of_the_first_batch_and_no_more(idle):
    """However low the loss has been since: with targets of 0 a linear layer's loss is as the square of its scale."""
    network = NETWORKS["one layer"]
    params, (x, _) = random_params(network), random_batch(network, M)
    optimizer, y = natural_gradient(M, 0.1, step_rule=Rescaled()), torch.zeros(M, 2).double()
    state = optimizer.init(task_of(network), params, stream)
    SCALES[:] = [1.0] * idle
    for _ in range(idle):
        params, state = optimizer.step(params, state, 0 * x, y)
    start, losses, skipped = squared_error(network, list(params), x, y), [], []
    SCALES[:] = [0.1, 30.0, 1.1, 1.05, 1e3, 0.1, 40.0]
    while SCALES:
        params, state = optimizer.step(params, state, x, y)
        losses.append(float(squared_error(network, list(params), x, y) / start))
        skipped.append(int(state.skipped_steps))
    assert losses == pytest.approx([0.01, 9, 9, 9.9225, 9.9225, 0.099225, 0.099225])
    assert skipped == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize("name", ["square", "tanh with bias"])
def test_a_stack_steps_as_its_members_do(name):
    network = NETWORKS[name]
    singles, stacked = replicas(network, 3)
    damping = torch.tensor([1e-2, 1e-1, 1.0])
    lr = torch.tensor([0.2, 0.5, 1.0])
    batches = [random_batch(network, M, seed=20 * r) for r in range(3)]
    x, y = (torch.stack(t) for t in zip(*batches, strict=True))
    optimizer = natural_gradient(M, damping, lr=lr, samples=2)
    state = optimizer.init(task_of(network), stacked, lambda purpose: [rng(r) for r in range(3)])
    for _ in range(3):
        stacked, state = optimizer.step(stacked, state, x, y)
    for r, params in enumerate(singles):
        alone = natural_gradient(M, float(damping[r]), lr=float(lr[r]), samples=2)
        one = alone.init(task_of(network), params, lambda purpose, r=r: [rng(r)])
        for _ in range(3):
            params, one = alone.step(params, one, x[r], y[r])
        assert_close(state.damping.value[r], one.damping.value, check_dtype=False)
        for together, single in zip(stacked, params, strict=True):
            assert_close(together[r], single)


def test_damping_stays_bounded_at_the_floor():
    """At the smallest loss ρ is noise; λ must not run away in either direction."""
    network = NETWORKS["square"]
    params, (x, _) = random_params(network), random_batch(network, M)
    optimizer = ngd(damping=1e-2, lr=1.0, samples=1)
    state = optimizer.init(task_of(network), params, stream)
    from nglab.networks.passes import forward

    y = forward(network, params, x).output.clone()  # the loss is zero already
    for _ in range(300):
        params, state = optimizer.step(params, state, x, y)
        assert 1e-8 <= float(state.damping.value) <= 1e-1
    assert squared_error(network, list(params), x, y) < 1e-20


def test_where_the_reduction_ratio_is_noise_the_damping_stays():
    """At the batch's own least squares the predicted decrease drowns in the rounding of the loss."""
    network = NETWORKS["one layer"]
    x, y = random_batch(network, M)
    params = Layers.of(network, [torch.linalg.lstsq(x, y).solution.mT])
    optimizer = natural_gradient(M, 0.1)
    state = optimizer.init(task_of(network), params, stream)
    for _ in range(20):
        params, state = optimizer.step(params, state, x, y)
    assert state.damping.value == 0.1 and state.skipped_steps == 0
    assert squared_error(network, list(params), x, y) > 0.01


@pytest.mark.parametrize("interval", [1, 3])
def test_the_loss_after_a_step_is_looked_at_where_it_is_compared(interval, monkeypatch):
    network, looked = NETWORKS["tanh with bias"], []
    original = Batch.trial_loss
    monkeypatch.setattr(Batch, "trial_loss", lambda *of: looked.append(k) or original(*of))
    rule = LevenbergMarquardt(0.1, 1e-8, 1.5, interval)
    optimizer, params = natural_gradient(M, rule), random_params(network)
    state = optimizer.init(task_of(network), params, lambda purpose: [rng(5)])
    before = params.map(torch.clone)
    for k in range(7):
        params, state = optimizer.step(params, state, *random_batch(network, M, seed=10 * k))
        assert not torch.equal(params[0], before[0])
        before = params.map(torch.clone)
    assert looked == list(range(interval - 1, 7, interval))


@pytest.mark.parametrize("measured", [1, 3])
def test_targets_are_sampled_for_the_batches_that_the_metric_takes_in(measured):
    """Every draw moves the generator on: as many as there are such batches."""
    network, generator = NETWORKS["tanh with bias"], rng(5)
    optimizer = natural_gradient(M, 0.1, metric=kronecker(0.8, refresh=3, measure=measured))
    params = random_params(network)
    state, moved = optimizer.init(task_of(network), params, lambda purpose: [generator]), []
    for k in range(26):
        before = generator.get_state()
        params, state = optimizer.step(params, state, *random_batch(network, M, seed=10 * k))
        moved.append(not torch.equal(generator.get_state(), before))
    assert sum(moved) == {1: 26, 3: 17}[measured]


KEPT = {
    "averages": {"metric": kronecker(average=0.8)},
    "inverses kept": {"metric": kronecker(refresh=3)},
    "both": {"metric": kronecker(0.8, 3, "pi")},
    "few batches": {"metric": kronecker(0.8, 2, measure=4)},
    "diagonal": {"metric": Diagonal(0.8, 0.5, "sampled")},
    "previous step": {"step_rule": Line(True, 9)},
    "a coefficient a layer": {"step_rule": Layerwise(True, None, 2.0)},
    "interval": {"damping": LevenbergMarquardt(0.1, 1e-8, 1.5, interval=3)},
}
"""What outlives a step, in states of every kind."""


@pytest.mark.parametrize("stacked", [False, True], ids=["one", "stack"])
@pytest.mark.parametrize("case", KEPT)
def test_a_state_that_was_put_away_goes_on_bit_for_bit(case, stacked):
    """Packed after five steps, unpacked into the state of a fresh method whose memory holds something else."""
    network = NETWORKS["tanh with bias"]
    start = replicas(network, 2)[1] if stacked else random_params(network)
    batches = [random_batch(network, M, seed=10 * k) for k in range(8)]
    optimizer = natural_gradient(M, **KEPT[case])

    def begin():
        params, generators = start.map(torch.clone), [rng(r) for r in range(2 if stacked else 1)]
        return params, optimizer.init(task_of(network), params, lambda purpose: generators)

    def go_on(params, state, first, last):
        for x, y in batches[first:last]:
            x, y = (t.expand(*params.leading, *t.shape) for t in (x, y))
            params, state = optimizer.step(params, state, x, y)
        return params, state

    params, state = go_on(*begin(), 0, 5)
    packed = copy.deepcopy((pack(params), pack(state)))
    undisturbed, state = go_on(params, state, 5, 8)
    params, fresh = go_on(*begin(), 3, 4)
    unpack(packed[0], params, torch.device("cpu"))
    resumed, fresh = go_on(params, unpack(packed[1], fresh, torch.device("cpu")), 5, 8)
    for ours, theirs in zip(resumed, undisturbed, strict=True):
        assert torch.equal(ours, theirs)
    for name, value in optimizer.diagnostics(state).items():
        assert torch.equal(value, optimizer.diagnostics(fresh)[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_does_not_depend_on_the_layout_of_memory(name, monkeypatch):
    network = NETWORKS[name]
    params, (x, y) = random_params(network), random_batch(network, M)
    by_rows, _ = one_step(ngd(), network, params.map(torch.clone), x, y)
    monkeypatch.setattr("nglab.networks.layers.BY_COLUMNS", 1)
    by_columns, _ = one_step(ngd(), network, params.map(torch.clone), x, y)
    for ours, expected in zip(by_columns, by_rows, strict=True):
        assert_close(ours, expected)
