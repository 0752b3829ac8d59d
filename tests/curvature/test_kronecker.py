"""The Kronecker metric against plain loops over dense matrices."""

import pytest
import torch
from dense_reference import gradient_and_factors
from problems import NETWORKS, kronecker, random_batch, random_params, replicas, rng
from torch.testing import assert_close

from nglab.curvature.batch import Batch
from nglab.curvature.kronecker import pi_of
from nglab.curvature.solvers.cholesky import Cholesky
from nglab.curvature.solvers.randomized_svd import RandomizedSVD
from nglab.errors import InputError
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.network import Network

M = 9
NAMES = pytest.mark.parametrize("name", ["square", "unequal ends", "tanh with bias"])


def steps(metric, network, count, damping=0.1):
    """Of each of `count` batches at fixed parameters: the metric's state, D, and G, Λ, Λ̃ by brute force."""
    params, generator = random_params(network), rng(5)
    batch = Batch(network, Gaussian(), params, M, samples=2 if metric.sampled else 0)
    state, noise_generator = metric.init(params, batch), rng(5)
    out = params.map(torch.empty_like)
    for k in range(count):
        x, y = random_batch(network, M, seed=10 * k)
        batch.gradient_(params, x, y, [generator])
        metric.update_(state, batch)
        measured = [state.factors.of_layer(i) for i in range(network.depth)]
        solved = metric.invert_(state, torch.tensor(damping + k, dtype=torch.float64))
        metric.multiply_(state, batch.gradient, out)
        noise = torch.empty(2, M, network.widths[-1]).double().normal_(generator=noise_generator)
        reference = gradient_and_factors(network, list(params), x, y, noise)
        yield measured, bool(solved), [d.clone() for d in out], reference


def direction(g, on_inputs, on_errors, damping):
    """Eq. 20 with √λ on each factor."""
    root = damping**0.5
    damped = [a + root * torch.eye(len(a)).double() for a in (on_inputs, on_errors)]
    return torch.linalg.solve(damped[1], g) @ torch.linalg.inv(damped[0])


@NAMES
def test_averages_are_those_of_a_plain_loop(name):
    """keep = min(1 − 1/k, average): the plain mean of the first batches, then a decaying one."""
    network, means = NETWORKS[name], None
    for k, (measured, solved, out, reference) in enumerate(steps(kronecker(0.6), network, 5), 1):
        g, on_inputs, on_errors, _ = reference
        now = list(zip(on_inputs, on_errors, strict=True))
        keep = min(1 - 1 / k, 0.6)
        means = now if means is None else [
            tuple(keep * a + (1 - keep) * b for a, b in zip(old, new, strict=True))
            for old, new in zip(means, now, strict=True)
        ]  # fmt: skip
        assert solved
        for i, (ours, theirs) in enumerate(zip(measured, means, strict=True)):
            assert_close(ours, theirs)
            assert_close(out[i], direction(g[i], *theirs, 0.1 + k - 1))


@NAMES
@pytest.mark.parametrize(
    ("average", "made_at"),
    [(0.0, range(1, 25, 3)), (0.6, [*range(1, 11), *range(11, 20, 2), 22])],
)
def test_inverses_are_made_every_t_steps(name, average, made_at):
    """T = 3: with the factors and the λ of those steps, and the gradient of every step; averages sooner at first."""
    network, anew = NETWORKS[name], None
    every_step = [m for m, *_ in steps(kronecker(average), network, 24)]
    kept = enumerate(steps(kronecker(average, refresh=3), network, 24), 1)
    for k, (_, _, out, reference) in kept:
        anew = (every_step[k - 1], 0.1 + k - 1) if k in made_at else anew
        for i, g in enumerate(reference[0]):
            assert_close(out[i], direction(g, *anew[0][i], anew[1]))


@NAMES
def test_averages_take_in_every_t_th_batch(name):
    """T = 3, sooner at first: between them they stand, and so do the inverses, whose λ is of those steps."""
    network, means = NETWORKS[name], None
    metric = kronecker(0.6, refresh=3, measure=3)
    taken, count = [*range(10), *range(10, 20, 2), 21, 24], 0
    for k, (measured, _, out, reference) in enumerate(steps(metric, network, 26)):
        g, on_inputs, on_errors, _ = reference
        if k in taken:
            now, keep = list(zip(on_inputs, on_errors, strict=True)), min(0.6, count / (count + 1))
            count += 1
            before = now if means is None else means
            means = [
                tuple(keep * a + (1 - keep) * b for a, b in zip(old, new, strict=True))
                for old, new in zip(before, now, strict=True)
            ]
            damping = 0.1 + k
        for i, (ours, theirs) in enumerate(zip(measured, means, strict=True)):
            assert_close(ours, theirs)
            assert_close(out[i], direction(g[i], *theirs, damping))


def test_pi_is_of_means_of_the_diagonals():
    """π² = (tr Λ / dim Λ) / (tr Λ̃ / dim Λ̃): 1 for two identities, whatever their sizes."""
    assert pi_of(torch.eye(5)[None], torch.eye(2)[None]) == 1.0
    assert_close(pi_of(4 * torch.eye(3)[None], torch.eye(7)[None]), torch.tensor([2.0]))


@pytest.mark.parametrize(("on_inputs", "on_errors", "pi"), [
    (0, 1, 1), (1, 0, 1), (0, 0, 1), (1e9, 1, 1e4), (1, 1e9, 1e-4), (4, 1, 2),
])  # fmt: skip
def test_pi_is_one_behind_a_dead_layer_and_bounded(on_inputs, on_errors, pi):
    identity = torch.eye(3, dtype=torch.float64)[None]
    assert_close(pi_of(on_inputs * identity, on_errors * identity).item(), float(pi))


@NAMES
def test_pi_splits_the_damping(name):
    network = NETWORKS[name]
    for _, _, out, (g, on_inputs, on_errors, _) in steps(kronecker(split="pi"), network, 1):
        for i, (a, b) in enumerate(zip(on_inputs, on_errors, strict=True)):
            pi = (a.trace() / len(a) / (b.trace() / len(b))) ** 0.5
            damped_in = a + pi * 0.1**0.5 * torch.eye(len(a))
            damped_out = b + 0.1**0.5 / pi * torch.eye(len(b))
            assert_close(out[i], torch.linalg.solve(damped_out, g[i]) @ torch.linalg.inv(damped_in))


@NAMES
def test_on_one_side_the_inputs_take_all_of_the_damping(name):
    """C_ii = Λ_i ⊗ I: D_i = G_i (Λ_i + λI)⁻¹, without a sampled target."""
    network = NETWORKS[name]
    metric = kronecker(0.6, sides="inputs")
    for k, (measured, solved, out, (g, *_)) in enumerate(steps(metric, network, 3)):
        assert solved
        for i, (on_inputs,) in enumerate(measured):
            damped = on_inputs + (0.1 + k) * torch.eye(len(on_inputs)).double()
            assert_close(out[i], g[i] @ torch.linalg.inv(damped))
    for measured, _, _, (_, on_inputs, *_) in steps(metric, network, 1):
        assert_close([a for (a,) in measured], on_inputs)


def test_what_cannot_be_inverted_is_tried_anew_at_the_next_step_and_the_other_replicas_wait():
    """T = 3. Replica 1 sees nothing but zeros at the steps 1 and 2, with λ = 0: its inverses are of step 3."""
    network, leading = Network((4, 3)), (2,)
    params, metric = replicas(network, 2)[1], kronecker(refresh=3)
    batch = Batch(network, Gaussian(), params, M, samples=1)
    state, out = metric.init(params, batch), params.map(torch.empty_like)
    solved, factors, directions = [], [], []
    for k in range(5):
        x, y = (t.expand(*leading, *t.shape).clone() for t in random_batch(network, M, seed=10 * k))
        x[1] *= k > 1
        batch.gradient_(params, x, y, [rng(2 * k), rng(2 * k + 1)])
        metric.update_(state, batch)
        factors.append(state.factors.of_layer(0))
        solved.append(metric.invert_(state, torch.zeros(leading).double()).tolist())
        metric.multiply_(state, batch.gradient, out)
        directions.append((out[0].clone(), batch.gradient[0].clone()))
    assert solved == [[True, False], [True, False], *[[True, True]] * 3]
    for k, made_at in enumerate([(0, None), (0, None), (0, 2), (3, 3), (3, 3)]):
        for r, at in enumerate(made_at):
            if at is not None:
                d, g = (v[r] for v in directions[k])
                assert_close(d, direction(g, *(a[r] for a in factors[at]), 0.0))


@NAMES
@pytest.mark.parametrize("sides", ["both", "inputs"])
def test_a_randomized_svd_of_full_rank_gives_what_cholesky_gives(name, sides):
    network, split = NETWORKS[name], "pi" if sides == "both" else "equal"
    svd = RandomizedSVD(rank=8, oversample=0, power_steps=2, seed=0)  # no factor is larger than 6
    runs = [
        steps(kronecker(0.6, 2, split, solver, sides), network, 4) for solver in (svd, Cholesky())
    ]
    for (_, solved, ours, _), (_, _, theirs, _) in zip(*runs, strict=True):
        assert solved
        assert_close(ours, theirs)


def test_one_side_splits_nothing():
    with pytest.raises(InputError, match=r"here\.split=pi: must be equal where here\.sides=inputs"):
        kronecker(split="pi", sides="inputs").check("here", None)


def test_the_replicas_of_a_stack_average_each_at_its_own_rate():
    network, average = NETWORKS["tanh with bias"], torch.tensor([0.0, 0.6, 0.9])
    singles, stacked = replicas(network, 3)

    def run(metric, params, x, y, generators):
        batch = Batch(network, Gaussian(), params, M, samples=1)
        state, out = metric.init(params, batch), params.map(torch.empty_like)
        for k in range(4):
            batch.gradient_(params, x + k, y, generators)
            metric.update_(state, batch)
            metric.invert_(state, params[0].new_full(params.leading, 0.1))
            metric.multiply_(state, batch.gradient, out)
        return out

    x, y = random_batch(network, M)
    together = run(kronecker(average), stacked, x.expand(3, -1, -1), y.expand(3, -1, -1),
                   [rng(r) for r in range(3)])  # fmt: skip
    for r, params in enumerate(singles):
        alone = run(kronecker(float(average[r])), params, x, y, [rng(r)])
        for ours, theirs in zip(together, alone, strict=True):
            assert_close(ours[r], theirs)


def test_only_what_the_next_step_reads_outlives_a_step():
    network = Network((4, 3))
    params = random_params(network)
    batch = Batch(network, Gaussian(), params, M, samples=1)
    kept = {
        (average, refresh): len(kronecker(average, refresh).init(params, batch).kept)
        for average in (0.0, 0.5)
        for refresh in (1, 2)
    }
    assert kept == {(0.0, 1): 0, (0.0, 2): 1, (0.5, 1): 1, (0.5, 2): 2}
    assert [k for k in kept if kronecker(*k).capturable] == [(0.0, 1)]
