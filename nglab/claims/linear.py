"""Bernacchia et al. (2018) §2, §3 and §6: gradient, Fisher matrix and natural gradient of deep linear networks."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from nglab.claims.claim import Check, Result, claim
from nglab.claims.linear_problems import (
    NARROW,
    ROUNDING,
    WHOLE,
    LinearProblem,
    flatten,
    linear_problem,
)
from nglab.claims.small_problems import LIKELIHOODS, randn, random_problem, relative, rng, slope
from nglab.curvature.deep_linear import Flags, eq10, eq16, pinv, products, shells
from nglab.curvature.solvers.second_moment import SecondMoment
from nglab.networks.layers import to_vector
from nglab.networks.passes import Errors, backward, forward, gradient

SHAPES = WHOLE | NARROW
SEEDS = range(5)


@claim("gradient", "B Eq. 7, 8")
def gradient_claim() -> Result:
    """One forward and one backward pass give the gradient that autodiff gives."""
    worst = 0.0
    for likelihood in (LIKELIHOODS["Gaussian"], LIKELIHOODS["Gaussian of covariance Σ̃"]):
        for activation in ("identity", "tanh", "sigmoid", "relu", "softplus"):
            p = random_problem(likelihood, activation=activation)
            ours = gradient(p.network, p.params, p.x, likelihood.error(p.output, p.y))
            worst = max(worst, relative(-to_vector(ours), p.gradient()))
    return Result(
        [Check("‖Eq. 7 − autodiff‖ / ‖autodiff‖, worst of 10 networks", worst, most=ROUNDING)]
    )


@claim("fisher-blocks", "B Eq. 22")
def fisher_blocks() -> Result:
    """F_ij = ⟨x_{i−1} x_{j−1}ᵀ⟩ ⊗ ⟨e_i e_jᵀ⟩, and off-diagonal blocks are as large as diagonal ones.

    By Cauchy–Schwarz ‖F_ij‖ ≤ √(‖F_ii‖ ‖F_jj‖); "as large" is taken as more than half of that, on average.
    """
    checks = []
    for name, widths in SHAPES.items():
        p = linear_problem(widths)
        brute, ours = p.jacobian.mT @ p.jacobian, p.fisher
        checks.append(Check(f"‖F − autodiff‖ / ‖F‖, {name}", relative(ours, brute), most=ROUNDING))
        kronecker = torch.cat([torch.cat(row, 1) for row in kronecker_blocks(p)])
        off = relative(kronecker, brute)
        checks.append(Check(f"‖Eq. 22 − autodiff‖ / ‖F‖, {name}", off, most=ROUNDING))
        checks.append(Check(f"‖F_ij‖ / √(‖F_ii‖‖F_jj‖), mean over i ≠ j, {name}",
                            off_diagonal(p.blocks(ours)), least=0.5, most=1))  # fmt: skip
    return Result(checks)


def kronecker_blocks(p: LinearProblem) -> list[list[Tensor]]:
    """Eq. 22 for weights flattened row by row: ⟨e_i e_jᵀ⟩ ⊗ ⟨x_{i−1} x_{j−1}ᵀ⟩."""
    w = p.whitened
    layers = range(w.depth)
    return [
        [torch.kron(w.back[i].mT @ w.back[j], w.forth[i] @ w.forth[j].mT) for j in layers]
        for i in layers
    ]


def off_diagonal(blocks: list[list[Tensor]]) -> float:
    norms = torch.tensor([[float(block.norm()) for block in row] for row in blocks])
    diagonal = norms.diagonal().sqrt()
    ratios = norms / diagonal / diagonal[:, None]
    count = len(blocks)
    return float((ratios.sum() - count) / (count**2 - count))


@claim("fisher-rank", "B §3")
def fisher_rank() -> Result:
    """rank F ≤ n_0 n_L < P: F is singular; the rank is the number of components that some layer can move."""
    checks = []
    for name, widths in SHAPES.items():
        p = linear_problem(widths)
        rank = int(torch.linalg.matrix_rank(p.fisher, hermitian=True, rtol=ROUNDING))
        bound = widths[0] * widths[-1]
        reach = int((Flags.of(p.whitened).counts > 0).sum())
        checks += [
            Check(f"rank F / n_0 n_L, {name}", rank / bound, most=1),
            Check(
                f"rank F / P, {name}",
                rank / len(p.fisher),
                most=(len(p.fisher) - 1) / len(p.fisher),
            ),
            Check(f"rank F − number of movable components, {name}", rank - reach, least=0, most=0),
        ]
        if name in WHOLE:
            checks.append(Check(f"rank F / n_0 n_L, attained, {name}", rank / bound, least=1))
    return Result(checks)


@claim("model-covariances", "B Eq. 14, 15")
def model_covariances() -> Result:
    """Λ̃ from targets sampled from the model and Λ converge to Eqs. 14 and 15 as 1/√(KM); with true targets Λ̃ does not.

    The r.m.s. over 20 repeats and some 50 entries is known to about 5 %, and spans a factor 64 in KM: a slope
    within 0.08 of −½. True targets add R̂ R̂ᵀ, here larger than Σ̃ itself, to the covariance of the errors.
    """
    p = linear_problem((6, 5, 4, 5, 6))
    examples = torch.tensor([125, 500, 2000, 8000])
    errors, inputs = (
        torch.tensor([rms([f(p, int(m), seed) for seed in range(20)]) for m in examples]).double()
        for f in (error_covariance_error, input_covariance_error)
    )
    true = error_covariance_error(p, 8000, 0, true_targets=True)

    def draw(axes: Axes) -> None:
        axes.loglog(examples, errors, "o-", label="Λ̃, sampled targets")
        axes.loglog(examples, inputs, "s-", label="Λ")
        axes.loglog(examples, errors[0] * (examples[0] / examples).sqrt(), "k:", label="1/√(KM)")
        axes.set_xlabel("K M")
        axes.set_ylabel("relative error")
        axes.legend()

    sizes = examples.double()
    return Result(
        [
            Check("slope of log ‖Λ̃ − Eq. 14‖ against log KM", slope(sizes, errors), -0.58, -0.42),
            Check("slope of log ‖Λ − Eq. 15‖ against log M", slope(sizes, inputs), -0.58, -0.42),
            Check("‖Λ̃ − Eq. 14‖ / ‖Eq. 14‖ at M = 8000 with the true targets", true, least=0.5),
        ],
        draw,
    )


def rms(values: list[float]) -> float:
    return float(torch.tensor(values, dtype=torch.float64).square().mean().sqrt())


def error_covariance_error(
    p: LinearProblem, examples: int, seed: int, true_targets: bool = False
) -> float:
    """‖Λ̃ − B_iᵀ Σ̃⁻¹ B_i‖ / ‖·‖, mean over layers, of one backward pass a sampled target."""
    x = randn(examples, p.network.widths[0], seed=seed)
    activations = forward(p.network, p.params, x)
    z = activations.output
    target = torch.linalg.lstsq(p.x, p.y).solution
    y = x @ target if true_targets else p.likelihood.sample(z, [rng(seed + 7000)])
    errors = Errors(p.network, examples, 1, p.params[0])
    errors.output.copy_(p.likelihood.error(z, y).unsqueeze(-3))
    backward(p.network, p.params, activations, errors)
    exact = [b.mT @ p.likelihood.precision @ b for b in products(list(p.params))[0]]
    ours = [SecondMoment(e).to_dense() for e in errors.layers]
    return sum(relative(a, b) for a, b in zip(ours, exact, strict=True)) / len(exact)


def input_covariance_error(p: LinearProblem, examples: int, seed: int) -> float:
    """‖Λ − A_i Σ A_iᵀ‖ / ‖·‖, mean over layers, of inputs drawn from N(0, I)."""
    x = randn(examples, p.network.widths[0], seed=seed)
    exact = [a @ a.mT for a in products(list(p.params))[1]]
    inputs = forward(p.network, p.params, x).inputs
    ours = [SecondMoment(v).to_dense() for v in inputs]
    return sum(relative(a, b) for a, b in zip(ours, exact, strict=True)) / len(exact)


@claim("eq10-exact", "B Eq. 10; ours")
def eq10_exact() -> Result:
    """Eq. 10 is the natural gradient of square and expanding networks, not of contracting ones or bottlenecks.

    The test is Fδ = −∇h with F by autodiff and −∇h by the backward pass; the shells pass it everywhere. Where Eq. 10
    fails it gives a component of the residual that c of L layers can move c/L of what it should: that foretells how far
    from −∇h its Fδ is, and how far off its move of the function, in length and direction, to rounding.
    """
    checks = []
    for name, widths in SHAPES.items():
        problems = [linear_problem(widths, 100 * seed) for seed in SEEDS]
        for form, step in (("shells", shells), ("Eq. 10", eq10)):
            if name in WHOLE or form == "shells":
                worst = max(natural_mismatch(p, step(p.whitened)) for p in problems)
                checks.append(Check(f"‖Fδ + ∇h‖ / ‖∇h‖, {form}, {name}", worst, most=ROUNDING))
        if name in NARROW:
            checks += shortfalls(name, problems)
    return Result(checks)


def shortfalls(name: str, problems: list[LinearProblem]) -> list[Check]:
    """How far off Eq. 10 is: the median of the problems within 1e-6 of the median that c/L foretells."""
    measured = torch.tensor([how_far_off(p) for p in problems], dtype=torch.float64)
    foretold = torch.tensor([foretold_to_be(p) for p in problems], dtype=torch.float64)
    whats = ("‖Fδ + ∇h‖ / ‖∇h‖", "function-space error, relative", "degrees off in function space")
    medians = zip(
        whats, measured.median(0).values.tolist(), foretold.median(0).values.tolist(), strict=True
    )
    apart = float((measured / foretold - 1).abs().max())
    return [
        *(Check(f"{what}, Eq. 10, median of 5, {name}", value, (1 - 1e-6) * right, (1 + 1e-6) * right)
          for what, value, right in medians),
        Check(f"largest |these / what c/L foretells − 1|, Eq. 10, {name}", apart, most=1e-6),
    ]  # fmt: skip


def natural_mismatch(p: LinearProblem, step: list[Tensor]) -> float:
    """‖Fδ + ∇h‖ / ‖∇h‖ by brute force."""
    return relative(p.jacobian.mT @ (p.jacobian @ flatten(step)), p.descent)


def how_far_off(p: LinearProblem) -> tuple[float, float, float]:
    """Of Eq. 10: ‖Fδ + ∇h‖ / ‖∇h‖, relative distance of its move of the function to the natural gradient's, degrees."""
    step = eq10(p.whitened)
    ours = p.jacobian @ flatten(step)
    right = p.jacobian @ torch.linalg.pinv(p.fisher, hermitian=True, rtol=ROUNDING) @ p.descent
    return natural_mismatch(p, step), relative(ours, right), degrees(ours, right)


def foretold_to_be(p: LinearProblem) -> tuple[float, float, float]:
    """The same from the components of R̂ alone: Eq. 10 moves each by c/L of it where c ≥ 1 layers can move it."""
    flags, w = Flags.of(p.whitened), p.whitened
    right = torch.where(flags.counts > 0, flags.residual(w), 0.0)
    ours = right * flags.counts / w.depth
    mismatch = flatten(w.pull(flags.rows @ (ours - right) @ flags.columns.mT))
    return float(mismatch.norm() / p.descent.norm()), relative(ours, right), degrees(ours, right)


def degrees(a: Tensor, b: Tensor) -> float:
    """The angle between two of one shape."""
    cosine = (a * b).sum() / a.norm() / b.norm()
    return float(torch.rad2deg(cosine.clamp(max=1).acos()))


@claim("eq16-pinv", "B Eq. 16")
def eq16_pinv() -> Result:
    """Errors sent back through pseudo-inverses give Eq. 10.

    Of the whitened products always. Of the plain products where B_i has full row and A_i full column rank, else not,
    unless Σ and Σ̃ are multiples of I. Layer by layer, by the product of the W_j⁺, where the layers can be inverted.
    """
    checks = []
    for name, widths in SHAPES.items():
        p = linear_problem(widths)
        expected = flatten(eq10(p.whitened))
        whitened = relative(flatten(eq16(p.whitened)), expected)
        checks.append(Check(f"‖Eq. 16 − Eq. 10‖ / ‖Eq. 10‖, {name}", whitened, most=ROUNDING))
        plain = relative(flatten(through_products(p)), expected)
        layers = relative(flatten(through_layers(p)), expected)
        whole, square = name in WHOLE, name == "square"
        checks.append(Check(f"… with plain products, {name}", plain, **limits(whole)))
        checks.append(Check(f"… layer by layer, {name}", layers, **limits(square)))
    return Result(checks)


def limits(equal: bool) -> dict[str, float]:
    return {"most": ROUNDING} if equal else {"least": 0.01}


def plain_residual(p: LinearProblem) -> Tensor:
    """W* − W by least squares on the examples."""
    error = p.y - forward(p.network, p.params, p.x).output
    return torch.linalg.lstsq(p.x, error).solution.mT


def through_products(p: LinearProblem) -> list[Tensor]:
    """(1/L) B_i⁺ (W* − W) A_i⁺."""
    back, forth = products(list(p.params))
    residual = plain_residual(p)
    return [pinv(b) @ residual @ pinv(a) / len(back) for b, a in zip(back, forth, strict=True)]


def through_layers(p: LinearProblem) -> list[Tensor]:
    """The same with (W_L ⋯ W_{i+1})⁺ replaced by W_{i+1}⁺ ⋯ W_L⁺, and A_i⁺ alike."""
    left, right = products([pinv(w) for w in reversed(list(p.params))])
    residual = plain_residual(p)
    return [b @ residual @ a / len(left) for b, a in zip(right[::-1], left[::-1], strict=True)]


@claim("inverse-blocks", "B Eq. 23, 37")
def inverse_blocks() -> Result:
    """Eq. 23 is a generalised inverse of F on square networks; the blocks of a row contribute alike.

    So F without its off-diagonal blocks gives L × Eq. 10. With pseudo-inverses, in a bottleneck, it is none.
    """
    p = linear_problem(WHOLE["square"], 300)
    inverse = eq23(p)
    f, g = p.fisher, torch.cat([torch.cat(row, 1) for row in inverse])
    parts = p.descent.split([w.numel() for w in p.params])
    row = torch.stack(
        [torch.stack([b @ v for b, v in zip(r, parts, strict=True)]) for r in inverse]
    )
    unequal = relative(row, row.mean(1, keepdim=True).expand_as(row))
    step = flatten(eq10(p.whitened))
    diagonal = torch.cat([torch.linalg.solve(p.blocks(f)[i][i], v) for i, v in enumerate(parts)])
    narrow = linear_problem(NARROW["bottleneck"])
    wrong = torch.cat([torch.cat(r, 1) for r in eq23(narrow)])
    return Result(
        [  # condition numbers up to 1e4 enter, squared
            Check("‖F F^g F − F‖ / ‖F‖, Eq. 23, square", relative(f @ g @ f, f), most=1e-7),
            Check("the blocks' contributions, ‖each − mean‖ / ‖mean‖", unequal, most=1e-7),
            Check("‖F^g(−∇h) − Eq. 10‖ / ‖Eq. 10‖", relative(g @ p.descent, step), most=1e-7),
            Check("‖block-diagonal⁻¹(−∇h) − L × Eq. 10‖ / ‖·‖", relative(diagonal, 3 * step), most=1e-7),
            Check("‖F F^g F − F‖ / ‖F‖, Eq. 23 with pseudo-inverses, bottleneck",
                  relative(narrow.fisher @ wrong @ narrow.fisher, narrow.fisher), least=0.01),
        ]
    )  # fmt: skip


def eq23(p: LinearProblem) -> list[list[Tensor]]:
    """(F^g)_ij = (1/L²) ⟨x_{j−1} x_{i−1}ᵀ⟩⁺ ⊗ ⟨e_j e_iᵀ⟩⁺, in the row-by-row order of θ: the errors first."""
    w = p.whitened
    layers = range(w.depth)
    return [
        [
            torch.kron(pinv(w.back[j].mT @ w.back[i]), pinv(w.forth[j] @ w.forth[i].mT))
            / w.depth**2
            for j in layers
        ]
        for i in layers
    ]
