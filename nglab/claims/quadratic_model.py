"""Martens (2014) §9 and §11: the quadratic model behind a natural-gradient step, and the length of the step."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.fishers import ROUNDING, fisher
from nglab.claims.small_problems import LIKELIHOODS, Problem, randn, random_problem, rng, slope
from nglab.curvature.fisher import Fisher
from nglab.curvature.solvers.pseudo_inverse import pseudo_inverse
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import output_fisher
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.networks.passes import forward, gradient


def model(p: Problem, delta: Tensor) -> Tensor:
    """M(δ) − h(θ) = ½ δᵀFδ + ∇hᵀδ."""
    return 0.5 * delta @ (fisher(p) @ delta) + p.gradient() @ delta


def best_outputs(p: Problem) -> tuple[Tensor, Tensor]:
    """F_R⁺ e, the best change of each z, and the bound c = ½⟨eᵀF_R⁺ e⟩, with e = ∇_z log r(y|z)."""
    error = p.likelihood.error(p.output, p.y)
    inverse = pseudo_inverse(output_fisher(p.likelihood, p.output))
    best = (inverse @ error[..., None])[..., 0]
    return best, 0.5 * (error * best).sum(-1).mean()


def distances(p: Problem, delta: Tensor, sign: float) -> Tensor:
    """⟨½‖J_f δ + sign F_R⁺ e‖²_{F_R}⟩."""
    gap = p.jacobian() @ delta + sign * best_outputs(p)[0]
    inner = output_fisher(p.likelihood, p.output)
    return 0.5 * torch.einsum("mi,mij,mj->m", gap, inner, gap).mean()


@claim("quadratic-distance", "M §11")
def quadratic_distance() -> Result:
    """M(δ) is a sum of squared F_R-distances plus a constant, and the constant bounds the improvement.

    M(δ) − h = ⟨½‖J_f δ − F_R⁻¹∇_z log r‖²_{F_R}⟩ − c, c = ½⟨∇_z log rᵀ F_R⁻¹ ∇_z log r⟩, so that M(δ) − h ≥ −c,
    with equality where the outputs can be moved at will (P ≥ |S| n_L, J_f of full rank). The paper prints the
    distance to +F_R⁻¹∇_z log r: as ∇h = −⟨J_fᵀ∇_z log r⟩, that sign is off by 2∇hᵀδ.
    """
    checks = []
    for name, likelihood in LIKELIHOODS.items():
        p = random_problem(likelihood, examples=20)
        delta = 0.3 * randn(len(p.theta), seed=3)
        value, squares, bound = model(p, delta), distances(p, delta, -1.0), best_outputs(p)[1]
        best = -pseudo_inverse(fisher(p).to_dense()) @ p.gradient()
        checks += [
            Check(f"|M(δ) − distances| / |M(δ)|, {name}",
                  float((squares - bound - value).abs() / value.abs()), most=ROUNDING),
            Check(f"best improvement of M over its bound, {name}", float(-model(p, best) / bound),
                  0.0, 1 + ROUNDING),
        ]  # fmt: skip
    printed = distances(p, delta, 1.0)
    off = float((value - (printed - bound)) / (2 * p.gradient() @ delta))
    free = random_problem(Gaussian(), examples=5, hidden=(8,))
    best = -pseudo_inverse(fisher(free).to_dense(), cutoff=1e-12) @ free.gradient()
    return Result([
        *checks,
        Check("M(δ) less the distances with the printed sign, over 2∇hᵀδ", off, 1 - 1e-8, 1 + 1e-8),
        Check("best improvement over its bound, P ≥ |S| n_L", float(-model(free, best) / best_outputs(free)[1]),
              1 - 1e-6, 1 + 1e-6),
    ])  # fmt: skip


@claim("same-data", "M §11")
def same_data() -> Result:
    """F and ∇h on one data set make steps smaller than on two.

    On one set ½∇hᵀ(F + λI)⁻¹∇h is below the bound c for every λ, and the step tends to a limit as λ → 0. On two sets
    of fewer than P/n_L examples ∇h has a part outside the range of F: the step grows as 1/λ.
    """
    dampings = torch.logspace(-10, -7, 4, dtype=torch.float64)
    one, other = _halves(random_problem(Gaussian(), hidden=(8,), examples=8, seed=1))
    over_bound = max(
        float(0.5 * one.gradient() @ _step(one, one, float(d)) / best_outputs(one)[1])
        for d in torch.logspace(-6, 1, 8, dtype=torch.float64)  # rounding leaves 1e-16 / λ
    )
    same, apart = (
        torch.stack([_step(one, source, float(d)).norm() for d in dampings])
        for source in (one, other)
    )
    ratios = []
    for seed in range(20):
        first, second = _halves(random_problem(Gaussian(), (8,), examples=60, seed=seed))
        lengths = [_step(first, source, 1e-3).norm() for source in (first, second)]
        ratios.append(torch.log(lengths[1] / lengths[0]))
    mean = torch.stack(ratios).mean()

    def draw(ax: Axes) -> None:
        ax.loglog(dampings.numpy(), same.numpy(), ".-", label="F and ∇h on one set")
        ax.loglog(dampings.numpy(), apart.numpy(), ".-", label="on two sets")
        ax.set(xlabel="damping λ", ylabel="‖step‖")
        ax.legend()

    return Result([
        Check("largest ½∇hᵀ(F + λI)⁻¹∇h over its bound, one set", over_bound, 0.0, 1 + ROUNDING),
        Check("slope of ‖step‖ in λ → 0, one set", slope(dampings, same), -0.02, 0.02),
        Check("slope of ‖step‖ in λ → 0, two sets", slope(dampings, apart), -1.02, -0.98),
        Check("‖step‖ of two sets over one, |S| = 30, λ = 1e-3, geometric mean of 20",
              float(mean.exp()), least=1.0),
    ], draw)  # fmt: skip


def _halves(p: Problem) -> tuple[Problem, Problem]:
    half = len(p.x) // 2
    return p.on(p.x[:half], p.y[:half]), p.on(p.x[half:], p.y[half:])


def _step(metric: Problem, source: Problem, damping: float) -> Tensor:
    """(F + λI)⁻¹∇h, F on the examples of `metric` and ∇h on those of `source`."""
    return pseudo_inverse(fisher(metric).to_dense(), damping) @ source.gradient()


@claim("schedules", "M §9")
def schedules() -> Result:
    """Rates c/i converge under noise, slowly where c is small; a constant rate does not; ε = 1 suits a damped F.

    One linear layer, N(z, I), fresh noise at each step: θ − θ* ← (1 − ε_i)(θ − θ*) + ε_i η, η ~ N(0, F⁻¹/M). So
    the excess loss ½‖θ − θ*‖²_F is ½P/(Mt) for 1/i, ½(P/M) ε/(2 − ε) in the end for a constant ε, and without noise
    falls as t^−2c for c/i. Means of 100 runs of P = 12 have a relative deviation of √(2/1200) = 4 %.
    On tanh networks the undamped step of ε = 1 overshoots; a damped one at ε = 1 gains more than any shorter undamped.
    """
    steps, fit = 400, slice(50, None)
    t = torch.arange(1, steps + 1, dtype=torch.float64)
    unit = 12 / (2 * LINEAR_EXAMPLES)  # ½ P/M
    curves = {
        "1/i": excess_losses(1 / t, 1.0),
        "0.1": excess_losses(torch.full_like(t, 0.1), 1.0),
        "0.25/i": excess_losses(0.25 / t, 1.0),
    }
    quiet = excess_losses(0.25 / t, 0.0)
    ends = curves["1/i"][-1] * steps / unit, curves["0.1"][200:].mean() * (2 - 0.1) / 0.1 / unit
    once = excess_losses(torch.ones(1), 0.0, start=True)
    raised, gain, best_rate = torch.tensor([_damped_or_short(s) for s in range(20)]).mT

    def draw(ax: Axes) -> None:
        for name, values in curves.items():
            ax.loglog(t.numpy(), values.numpy(), label=f"rate {name}")
        ax.loglog(t.numpy(), (unit / t).numpy(), "k--", label="P / 2Mt")
        ax.set(xlabel="step", ylabel="excess loss, mean of 100 runs")
        ax.legend()

    return Result([
        Check("excess loss of 1/i over P/2Mt", float(ends[0]), 0.8, 1.2),
        Check("excess loss of ε = 0.1 over (P/2M) ε/(2−ε)", float(ends[1]), 0.8, 1.2),
        Check("order in t of the excess, 0.25/i without noise", slope(t[fit], quiet[fit]), -0.52, -0.48),
        Check("excess left by one undamped step of ε = 1, linear layer, of its start",
              float(once[1] / once[0]), most=1e-20),
        Check("h after an undamped step of ε = 1 over h before, median of 20", float(raised.median()),
              least=1.0),
        Check("decrease of the best λ at ε = 1 over that of the best ε at λ = 0, median of 20",
              float(gain.median()), least=1.0),
        Check("best ε along the direction of that λ, median of 20", float(best_rate.median()),
              0.5, 2.0),
    ], draw)  # fmt: skip


LINEAR_EXAMPLES = 50  # M


def excess_losses(rates: Tensor, noise: float, start: bool = False) -> Tensor:
    """½‖θ − θ*‖²_F after each step, the mean of 100 runs; with `start` also before the first."""
    network, x = Network((4, 3)), randn(LINEAR_EXAMPLES, 4, seed=1)
    likelihood, generator = Gaussian(), rng(7)
    target, first = randn(3, 4, seed=2), randn(100, 3, 4, seed=3)
    params = Layers.of(network, [first])
    one = Layers.of(network, [target])
    f = Fisher(network, one, x, likelihood).to_dense()
    inverse = pseudo_inverse(f)

    def excess() -> Tensor:
        away = (params[0] - target).flatten(-2)
        return 0.5 * ((away @ f) * away).sum(-1).mean()

    losses = [excess()] if start else []
    for rate in rates:
        clean = (x @ target.T).expand(100, -1, -1)
        y = clean + noise * (likelihood.sample(clean, [generator]) - clean)
        error = likelihood.error(forward(network, params, x).output, y)
        descent = gradient(network, params, x, error)[0].flatten(-2)
        params = Layers.of(network, [params[0] + rate * (descent @ inverse).view_as(params[0])])
        losses.append(excess())
    return torch.stack(losses)


def _damped_or_short(seed: int) -> tuple[float, float, float]:
    """h ratio of the undamped step; decrease of the best λ over that of the best ε; best ε at that λ."""
    p = random_problem(Gaussian(), examples=60, seed=seed)
    f, g, start = fisher(p).to_dense(), p.gradient(), p.h(p.theta)
    undamped = -pseudo_inverse(f) @ g
    rates = torch.logspace(-4, 1, 51, dtype=torch.float64)
    shorter = min(p.h(p.theta + e * undamped) for e in rates)
    steps = [-pseudo_inverse(f, float(d)) @ g for d in torch.logspace(-6, 1, 36)]
    damped = min(steps, key=lambda step: float(p.h(p.theta + step)))
    along = torch.stack([p.h(p.theta + e * damped) for e in rates])
    gain = (start - p.h(p.theta + damped)) / (start - shorter)
    return float(p.h(p.theta + undamped) / start), float(gain), float(rates[along.argmin()])
