"""Every metric, solver and step rule together: whole runs against brute force over dense matrices in float64."""

from itertools import product

import pytest
import torch
from dense_reference import gradient_and_factors, output_jacobian, squared_error
from problems import (
    NETWORKS,
    kronecker,
    natural_gradient,
    random_batch,
    random_params,
    rng,
    task_of,
)
from torch.testing import assert_close

from nglab.curvature.damping.constant_damping import ConstantDamping
from nglab.curvature.diagonal import Diagonal
from nglab.curvature.solvers.conjugate_gradient import ConjugateGradient
from nglab.curvature.solvers.pseudo_inverse import PseudoInverse
from nglab.curvature.solvers.randomized_svd import RandomizedSVD
from nglab.errors import InputError
from nglab.optimizers.steps.layerwise import Layerwise
from nglab.optimizers.steps.line import Line
from nglab.optimizers.steps.paper import Paper
from nglab.optimizers.steps.two_level import TwoLevel
from nglab.runs.config import check
from nglab.settings.composing import compose

M, DAMPING, ALPHA = 24, 0.1, 0.7


def kronecker_directions(split):
    def directions(gradients, factors_in, factors_out, diagonals):
        for g, a, b in zip(gradients, factors_in, factors_out, strict=True):
            pi = (a.diagonal().mean() / b.diagonal().mean()).sqrt() if split == "pi" else 1.0
            damped_in = a + pi * DAMPING**0.5 * torch.eye(len(a), dtype=a.dtype)
            damped_out = b + DAMPING**0.5 / pi * torch.eye(len(b), dtype=b.dtype)
            yield torch.linalg.inv(damped_out) @ g @ torch.linalg.inv(damped_in)

    return directions


def diagonal_directions(gradients, factors_in, factors_out, diagonals):
    return [g / (d + DAMPING) for g, d in zip(gradients, diagonals, strict=True)]


METRICS = {
    "kronecker": (kronecker(), kronecker_directions("equal")),
    "kronecker, pi": (kronecker(split="pi"), kronecker_directions("pi")),
    "conjugate gradient": (
        kronecker(solver=ConjugateGradient(1e-12, 100)),
        kronecker_directions("equal"),
    ),
    "pseudo-inverse": (kronecker(solver=PseudoInverse(None)), kronecker_directions("equal")),
    "randomized SVD": (
        kronecker(solver=RandomizedSVD(8, 0, 1, 0), split="pi"),
        kronecker_directions("pi"),
    ),
    "diagonal": (Diagonal(0.0, 1.0, "sampled"), diagonal_directions),
}


def flat(layers):
    return torch.cat([w.flatten() for w in layers])


def paper_step(d, g, previous, jacobian, depth):
    step = ALPHA / depth * flat(d)
    return step, (ALPHA - ALPHA**2 / 2) / depth * flat(d) @ g


def subspace_step(layerwise, momentum, examples=M, damping_factor=1.0):
    """The minimum of ½ δᵀ(F + λI)δ − gᵀδ over the span of the directions, by dense matrices."""

    def step(d, g, previous, jacobian, depth):
        columns = [flat([w * (i == j) for j, w in enumerate(d)]) for i in range(depth)]
        v = torch.stack(columns, 1) if layerwise else flat(d)[:, None]
        if momentum and previous.any():
            v = torch.cat([v, previous[:, None]], 1)
        rows = jacobian[:examples].flatten(0, 1)
        fisher = rows.T @ rows / min(examples, M)
        damped = fisher + DAMPING * damping_factor * torch.eye(len(g))
        step = ALPHA * v @ torch.linalg.solve(v.T @ damped @ v, v.T @ g)
        return step, g @ step - 0.5 * step @ fisher @ step

    return step


def two_level_step(coarse, momentum, examples=M):
    """K-FAC's step along D + Z (ZᵀFZ + λ ZᵀZ)⁻¹ Zᵀ g, by dense matrices."""

    def step(d, g, previous, jacobian, depth):
        z = d if coarse == "directions" else [torch.ones_like(w) for w in d]
        z = torch.stack([flat([w * (i == j) for j, w in enumerate(z)]) for i in range(depth)], 1)
        rows = jacobian[:examples].flatten(0, 1)
        fisher = rows.T @ rows / min(examples, M)
        share = torch.linalg.solve(z.T @ fisher @ z + DAMPING * z.T @ z, z.T @ g)
        corrected = [flat(d) + z @ share]
        return subspace_step(False, momentum, examples)(corrected, g, previous, jacobian, depth)

    return step


STEPS = {
    "paper": (Paper(), paper_step),
    "line": (Line(False, None), subspace_step(False, False)),
    "line, previous": (Line(True, 7), subspace_step(False, True, 7)),
    "two levels": (TwoLevel(False, 7, "directions"), two_level_step("directions", False, 7)),
    "two levels, previous": (
        TwoLevel(True, None, "constant"),
        two_level_step("constant", True),
    ),
    "layerwise": (Layerwise(False, 9, 1.0), subspace_step(True, False, 9)),
    "layerwise, previous": (Layerwise(True, None, 30.0), subspace_step(True, True, M, 30.0)),
}


@pytest.mark.parametrize("name", ["unequal ends", "one layer", "tanh with bias"])
@pytest.mark.parametrize(("metric", "step"), list(product(METRICS, STEPS)))
def test_three_steps_are_those_of_a_plain_loop(metric, step, name):
    network = NETWORKS[name]
    (metric, directions), (rule, reference_step) = METRICS[metric], STEPS[step]
    optimizer = natural_gradient(
        M, lr=ALPHA, samples=2, metric=metric, damping=ConstantDamping(DAMPING), step_rule=rule
    )
    params, noise_generator = random_params(network), rng(5)
    state = optimizer.init(task_of(network), params, lambda purpose: [rng(5)])
    weights = [w.clone() for w in params]
    previous = torch.zeros_like(flat(weights))
    for k in range(3):
        x, y = random_batch(network, M, seed=10 * k)
        noise = torch.empty(2, M, network.widths[-1]).double().normal_(generator=noise_generator)
        measured = gradient_and_factors(network, weights, x, y, noise)
        d, g = list(directions(*measured)), flat(measured[0])
        jacobian = output_jacobian(network, weights, x)
        previous, predicted = reference_step(d, g, previous, jacobian, network.depth)
        sizes = [w.numel() for w in weights]
        moved = zip(weights, previous.split(sizes), strict=True)
        new = [w + part.view_as(w) for w, part in moved]
        actual = squared_error(network, weights, x, y) - squared_error(network, new, x, y)
        weights = new

        params, state = optimizer.step(params, state, x, y)
        assert state.skipped_steps == 0
        for ours, theirs in zip(params, weights, strict=True):
            assert_close(ours, theirs, rtol=1e-6, atol=1e-9)
        assert_close(state.reduction_ratio, actual / predicted, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", STEPS)
def test_the_direction_of_a_mean_gradient_is_that_of_a_plain_loop(rule):
    """keep = min(1 − 1/k, β); what the step rule is told of the slope stays this batch's own."""
    network, keep = NETWORKS["tanh with bias"], 0.6
    rule, reference_step = STEPS[rule]
    optimizer = natural_gradient(
        M, lr=ALPHA, samples=2, damping=ConstantDamping(DAMPING), step_rule=rule,
        gradient_average=keep,
    )  # fmt: skip
    params, noise_generator = random_params(network), rng(5)
    state = optimizer.init(task_of(network), params, lambda purpose: [rng(5)])
    weights, mean = [w.clone() for w in params], None
    previous = torch.zeros_like(flat(weights))
    for k in range(1, 5):
        x, y = random_batch(network, M, seed=10 * k)
        noise = torch.empty(2, M, network.widths[-1]).double().normal_(generator=noise_generator)
        gradients, *factors = gradient_and_factors(network, weights, x, y, noise)
        share = min(1 - 1 / k, keep)
        mean = gradients if mean is None else [
            share * old + (1 - share) * new for old, new in zip(mean, gradients, strict=True)
        ]  # fmt: skip
        d = list(kronecker_directions("equal")(mean, *factors))
        jacobian = output_jacobian(network, weights, x)
        previous, _ = reference_step(d, flat(gradients), previous, jacobian, network.depth)
        moved = zip(weights, previous.split([w.numel() for w in weights]), strict=True)
        weights = [w + part.view_as(w) for w, part in moved]
        params, state = optimizer.step(params, state, x, y)
        for ours, theirs in zip(params, weights, strict=True):
            assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("metric", ["sample_space", "low_rank"])
def test_a_metric_of_the_batchs_own_gradient_takes_no_mean_of_several(metric):
    words = [f"optimizer/metric={metric}", "optimizer.gradient_average=0.5", "arch=square"]
    with pytest.raises(InputError, match=r"gradient_average=0\.5: must be 0"):
        check(compose(["optimizer=ngd", *words]))
