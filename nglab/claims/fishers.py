"""Martens (2014) §3, §5 and §8: the Fisher in its forms, and the Gauss-Newton matrix."""

from collections.abc import Callable

import torch
from matplotlib.axes import Axes
from torch import Tensor, distributions

from nglab.claims.claim import Check, Result, claim
from nglab.claims.small_problems import (
    COVARIANCE,
    DEGREES,
    LIKELIHOODS,
    SCALE,
    STUDENT,
    Problem,
    expectation,
    output,
    randn,
    random_problem,
    relative,
    rng,
    standard_errors,
    target_nodes,
)
from nglab.curvature.empirical_fisher import EmpiricalFisher
from nglab.curvature.fisher import Fisher, MonteCarloFisher
from nglab.curvature.ggn import GGN
from nglab.curvature.hessian import Hessian
from nglab.curvature.operator import Operator
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.gaussian_mean import GaussianMean
from nglab.likelihoods.likelihood import Likelihood
from nglab.likelihoods.softmax_in_network import SoftmaxInNetwork
from nglab.networks.layers import Layers
from nglab.networks.network import Network

ROUNDING = 1e-10  # relative, float64: sums of some hundred terms, with room for conditioning
Curvature = Callable[[Problem], Operator]
ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "softplus")


def fisher(p: Problem) -> Fisher:
    return Fisher(p.network, p.params, p.x, p.likelihood)


def ggn(p: Problem, likelihood: Likelihood | None = None) -> GGN:
    return GGN(p.network, p.params, p.x, p.y, likelihood or p.likelihood)


def empirical_fisher(p: Problem) -> EmpiricalFisher:
    return EmpiricalFisher(p.network, p.params, p.x, p.y, p.likelihood)


def hessian(p: Problem) -> Hessian:
    return Hessian(p.network, p.params, p.x, p.y, p.likelihood)


@claim("fisher-forms", "M §5, §8")
def fisher_forms() -> Result:
    """E[score scoreᵀ] = −E[∇² log p] = E[J_fᵀ F_R J_f], the expectation over the model's y.

    For one input the expectation is a finite sum (`target_nodes`); scores and second derivatives are the empirical
    Fisher and the Hessian at each target. Sampled targets leave E‖F̂ − F‖² = (E‖g‖⁴ − ‖F‖²) / K for K samples.
    """
    checks = []
    for name, likelihood in (LIKELIHOODS | {"Student-t": STUDENT}).items():
        p = random_problem(likelihood, hidden=(2,), examples=1)
        nodes = target_nodes(likelihood, p.output)
        scores = _expected(empirical_fisher, p, nodes)
        curvature = _expected(hessian, p, nodes)
        f = fisher(p).to_dense()
        checks += [
            Check(f"‖E[ggᵀ] − F‖ / ‖F‖, {name}", relative(scores, f), most=ROUNDING),
            Check(f"‖−E[∇² log p] − F‖ / ‖F‖, {name}", relative(curvature, f), most=ROUNDING),
        ]
        checks.append(Check(f"sampled ‖F̂ − F‖² over its expectation, {name}",
                            _sampling_error(p, f, nodes), 0.4, 1.6))  # fmt: skip
    return Result(checks)


def _expected(c: Curvature, p: Problem, nodes: list[tuple[Tensor, Tensor]]) -> Tensor:
    """E_y[C] with y from the model."""
    return expectation(lambda y: c(p.on(p.x, y)).to_dense(), nodes)


def _sampling_error(p: Problem, f: Tensor, nodes: list[tuple[Tensor, Tensor]]) -> float:
    """Mean of ‖F̂ − F‖² over 200 draws of K = 20, over (E‖g‖⁴ − ‖F‖²)/K.

    One draw is a weighted χ² of at least one degree of freedom, so that the mean of 200 has a relative standard
    deviation of at most √(2/200) = 0.1, more where g has heavy tails: 0.4 … 1.6 is four to six of them.
    """
    samples, draws, generator = 20, 200, [rng(3)]
    fourth = expectation(lambda y: empirical_fisher(p.on(p.x, y)).to_dense().trace() ** 2, nodes)
    expected = (fourth - f.square().sum()) / samples
    total = torch.zeros((), dtype=f.dtype)
    for _ in range(draws):
        estimate = MonteCarloFisher(p.network, p.params, p.x, p.likelihood, samples, generator)
        total += (estimate.to_dense() - f).square().sum()
    return float(total / draws / expected)


@claim("fisher-ggn", "M §8, Eq. 5")
def fisher_ggn() -> Result:
    """F = G where z are natural parameters of an exponential family; not for a Student-t output.

    Student-t with residual r everywhere: H_L = 0 at r² = νs², so that G = 0 and ‖F − G‖/‖F‖ = 1; at r = 0
    H_L = (ν+1)/νs², so that G = (ν+3)/ν F and ‖F − G‖/‖F‖ = 3/ν.
    """
    checks = []
    for name, likelihood in LIKELIHOODS.items():
        apart = 0.0
        for activation in ACTIVATIONS:
            p = random_problem(likelihood, activation=activation)
            g, f = _ggn_by_autodiff(p), fisher(p).to_dense()
            apart = max(apart, relative(g, f), relative(ggn(p).to_dense(), f))
        checks.append(Check(f"‖G − F‖ / ‖F‖, {name}", apart, most=ROUNDING))
    p = random_problem(STUDENT)
    f = fisher(p).to_dense()
    for residual, expected in ((SCALE * DEGREES**0.5, 1.0), (0.0, 3 / DEGREES)):
        g = ggn(p.on(p.x, p.output + residual)).to_dense()
        what = f"‖G − F‖ / ‖F‖, Student-t, residuals {residual:.3g}"
        checks.append(Check(what, relative(g, f), expected - 1e-9, expected + 1e-9))
    return Result(checks)


def _ggn_by_autodiff(p: Problem) -> Tensor:
    total = torch.zeros(len(p.theta), len(p.theta), dtype=p.x.dtype)
    for j, z, y in zip(p.jacobian(), p.output, p.y, strict=True):
        inner = torch.func.hessian(lambda z, y=y: p.likelihood.losses(z[None], y[None])[0])(z)
        total += j.T @ inner @ j / len(p.x)
    return total


@claim("ggn-linearised", "M §3")
def ggn_linearised() -> Result:
    """G is the Hessian of h with f replaced by its linear approximation, and H is G plus the outputs' own curvature.

    H − G = ⟨Σ_j [∇_z L]_j H_{[f]_j}⟩ by autodiff; where f is linear, nothing.
    """
    checks = []
    for name, likelihood in (LIKELIHOODS | {"Student-t": STUDENT}).items():
        p = random_problem(likelihood)
        j, z = p.jacobian(), p.output
        tangent = torch.func.hessian(
            lambda d, p=p, j=j, z=z: p.likelihood.losses(z + j @ d, p.y).mean()
        )(torch.zeros_like(p.theta))
        pull = -p.likelihood.error(z, p.y) / len(z)
        bend = torch.func.hessian(
            lambda theta, p=p, pull=pull: (pull * output(p.network, theta, p.x)).sum()
        )(p.theta)
        g, h = ggn(p).to_dense(), hessian(p).to_dense()
        checks += [
            Check(
                f"‖Hessian of h with f linearised − G‖ / ‖G‖, {name}",
                relative(tangent, g),
                most=ROUNDING,
            ),
            Check(
                f"‖H − G − the outputs' curvature‖ / ‖H‖, {name}",
                float((h - g - bend).norm() / h.norm()),
                most=ROUNDING,
            ),
        ]
    return Result(checks)


@claim("product-density", "M §8")
def product_density() -> Result:
    """r(y|z) = Π_j c(y_j − z_j) makes F = κ ⟨J_fᵀJ_f⟩, with κ = ∫ c'²/c; another density does not.

    κ is found by quadrature of torch's density, J_f by autodiff. The other density is N(z, Σ̃) with Σ̃ not a multiple
    of the identity: on one layer F = Σ̃⁻¹ ⊗ ⟨xxᵀ⟩ is at an angle of arccos(tr Σ̃⁻¹ / √2 ‖Σ̃⁻¹‖) to ⟨JᵀJ⟩.
    """
    one = torch.ones((), dtype=torch.float64)
    families: dict[str, tuple[Likelihood, distributions.Distribution]] = {
        "Gaussian, σ² = 0.25": (GaussianMean(0.25 * torch.eye(2, dtype=torch.float64)),
                                distributions.Normal(0 * one, 0.5 * one)),
        "Student-t": (STUDENT, distributions.StudentT(DEGREES * one, 0 * one, SCALE * one)),
    }  # fmt: skip
    checks = []
    for name, (likelihood, c) in families.items():
        p = random_problem(likelihood)
        j = p.jacobian().flatten(0, 1)
        gauss_newton = j.T @ j / len(p.x)
        apart = relative(fisher(p).to_dense(), _information(c) * gauss_newton)
        checks.append(Check(f"‖F − κ⟨JᵀJ⟩‖ / ‖κ⟨JᵀJ⟩‖, {name}", apart, most=1e-8))
    p = random_problem(GaussianMean(COVARIANCE), hidden=())
    j = p.jacobian().flatten(0, 1)
    gauss_newton, f = j.T @ j, fisher(p).to_dense()
    cosine = float((f * gauss_newton).sum() / f.norm() / gauss_newton.norm())
    inverse = torch.linalg.inv(COVARIANCE)
    expected = float(inverse.trace() / 2**0.5 / inverse.norm())
    checks.append(Check("cosine of F and ⟨JᵀJ⟩, Gaussian of covariance Σ̃", cosine,
                        expected - 1e-9, expected + 1e-9))  # fmt: skip
    return Result(checks)


def _information(c: distributions.Distribution) -> float:
    """κ = E[(d log c / da)²] by the midpoint rule in θ, a = tan θ."""
    angles = (torch.arange(4000, dtype=torch.float64) + 0.5) * torch.pi / 4000 - torch.pi / 2
    a = angles.tan().requires_grad_()
    log_c = c.log_prob(a)
    (score,) = torch.autograd.grad(log_c.sum(), a)
    density = log_c.exp() / angles.cos().square() * (torch.pi / 4000)
    return float((density * score.square()).sum().detach())


@claim("softmax-side", "M §8")
def softmax_side() -> Result:
    """Softmax inside L and inside f give different GGNs, and the first is nearer to H.

    With one layer f is linear, and the first is H. The second has Sᵀ diag(y/p²) S = e eᵀ between J_fᵀ and J_f: it
    is the empirical Fisher, and equals F only in expectation over the model's y. "Nearer" holds on average: a mean that
    is three of its standard errors away from equal would be so by chance once in five hundred times (t, 59 degrees).
    """
    inside, shallow = SoftmaxInNetwork(), random_problem(Categorical(), hidden=(), examples=20)
    h = hessian(shallow).to_dense()
    deep = [random_problem(Categorical(), examples=40, seed=s) for s in range(60)]
    distances = torch.tensor([
        [relative(ggn(p, likelihood).to_dense(), hessian(p).to_dense())
         for likelihood in (Categorical(), inside)] for p in deep
    ])  # fmt: skip
    p = deep[0]
    one = p.on(p.x[:1], p.y[:1])
    nodes = target_nodes(Categorical(), one.output)
    mean = expectation(lambda y: ggn(one.on(one.x, y), inside).to_dense(), nodes)
    further = (distances[:, 1] / distances[:, 0]).log()
    return Result([
        Check("‖G − H‖ / ‖H‖, one layer, softmax in L", relative(ggn(shallow).to_dense(), h),
              most=ROUNDING),
        Check("‖G − H‖ / ‖H‖, one layer, softmax in f",
              relative(ggn(shallow, inside).to_dense(), h), least=1e-3),
        Check("‖G − H‖ of softmax in f over that in L, geometric mean of 60 tanh networks",
              float(further.mean().exp()), least=1.0),
        Check("mean log of that over its standard error", standard_errors(further), least=3.0),
        Check("‖G − empirical F‖ / ‖G‖, softmax in f",
              relative(empirical_fisher(p).to_dense(), ggn(p, inside).to_dense()), most=ROUNDING),
        Check("‖E_y[G] − F‖ / ‖F‖, softmax in f", relative(mean, fisher(one).to_dense()),
              most=ROUNDING),
    ])  # fmt: skip


@claim("ggn-psd", "M §3")
def ggn_psd() -> Result:
    """G is positive semi-definite where H is not, and a subset's G is never cancelled by the rest.

    Two linear layers at W = 0: G = 0, and H has the eigenvalues ± the singular values of ⟨yxᵀ⟩. G − (|S|/N) G_S is the
    rest's share of G and so positive semi-definite: curvature seen on a subset S stays. For H it is the rest's H.
    """
    x, y = randn(20, 3, seed=1), randn(20, 2, seed=2)
    network = Network((3, 4, 2))
    zero = Layers.of(network, [torch.zeros(4, 3).double(), torch.zeros(2, 4).double()])
    saddle = Problem(network, zero, x, y, Gaussian())
    singular = float(torch.linalg.matrix_norm(y.T @ x / 20, 2))
    p = random_problem(Gaussian(), hidden=(6,), examples=60)
    g, h = (torch.linalg.eigvalsh(c.to_dense()) for c in (ggn(p), hessian(p)))
    subset = p.on(p.x[:15], p.y[:15])
    stays = [lowest(c(p), c(subset), 0.25) for c in (ggn, hessian)]
    spread = [sum(_spread(c, s) for s in range(5)) / 5 for c in (ggn, hessian)]

    def draw(ax: Axes) -> None:
        for values, label in ((g, "G"), (h, "H")):
            ax.plot(values.numpy(), ".", label=label)
        ax.set_yscale("symlog", linthresh=1e-4)
        ax.set(xlabel="index", ylabel="eigenvalue")
        ax.legend()

    return Result([
        Check("λ_min(H) over −σ_max⟨yxᵀ⟩, two linear layers at 0", lowest(hessian(saddle)) / -singular,
              1 - 1e-9, 1 + 1e-9),
        Check("‖G‖ there", float(ggn(saddle).to_dense().norm()), most=1e-12),
        Check("λ_min(G) / λ_max(G), tanh network", float(g[0] / g[-1]), least=-1e-12),
        Check("λ_min(H) / λ_max(H), tanh network", float(h[0] / h[-1]), most=-1e-3),
        Check("λ_min(G − G_S/4) / ‖G‖", stays[0], least=-1e-12),
        Check("λ_min(H − H_S/4) / ‖H‖", stays[1], most=-1e-3),
        Check("‖G_S − G‖/‖G‖ over ‖H_S − H‖/‖H‖, mean of subsets", spread[0] / spread[1], most=1.0),
    ], draw)  # fmt: skip


def lowest(c: Operator, part: Operator | None = None, share: float = 0.0) -> float:
    """λ_min(C − share · C_part), over ‖C‖ where a part is given."""
    dense = c.to_dense()
    if part is None:
        return float(torch.linalg.eigvalsh(dense)[0])
    return float(torch.linalg.eigvalsh(dense - share * part.to_dense())[0] / dense.norm())


def _spread(c: Curvature, seed: int) -> float:
    """Root mean square of ‖C_S − C‖/‖C‖ over the six subsets of 10 of 60 examples."""
    p = random_problem(Gaussian(), hidden=(6,), examples=60, seed=seed)
    whole = c(p).to_dense()
    parts = [c(p.on(*s)).to_dense() for s in zip(p.x.split(10), p.y.split(10), strict=True)]
    return (sum(relative(part, whole) ** 2 for part in parts) / len(parts)) ** 0.5
