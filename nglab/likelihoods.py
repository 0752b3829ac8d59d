"""Output densities r(y|z) of the network's output z = x_L, with L(y, z) = −log r(y|z).

Layout: z and errors are `[..., M, n]`, y is `[..., M, n_y]`, one example a row; u is `[..., M, n]` and z
broadcasts against it. Nothing here averages over examples except `Gaussian.loss`; outputs are summed.
F_R and H_L are applied, never stored: `output_fisher` and `output_hessian` build them for small n.
M = Martens (2014), section and equation numbers are his.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import softplus

from nglab.errors import InputError


class Likelihood(Protocol):
    """What curvature and methods ask of r(y|z)."""

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        """L(y, z) of each example `[..., M]`, up to a term that depends on y alone."""

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """e_L = −∂L/∂z = ∇_z log r(y|z), `[..., M, n]`."""

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """y ~ r(·|z). One generator draws everything; several draw one replica `z[r]` each."""

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        """F_R u with F_R = E_{y~r}[∇ log r ∇ log rᵀ] (M §8), example by example."""

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """H_L u with H_L = ∂²L/∂z² (M Eq. 2), example by example."""


def output_fisher(likelihood: Likelihood, z: Tensor) -> Tensor:
    """F_R of each example as a matrix, `[..., M, n, n]`."""
    return likelihood.fisher_times(z.unsqueeze(-3), _unit_vectors(z)).movedim(-3, -1)


def output_hessian(likelihood: Likelihood, z: Tensor, y: Tensor) -> Tensor:
    """H_L of each example as a matrix, `[..., M, n, n]`."""
    u = _unit_vectors(z)
    return likelihood.hessian_times(z.unsqueeze(-3), y.unsqueeze(-3), u).movedim(-3, -1)


def _unit_vectors(z: Tensor) -> Tensor:
    """`[..., n, M, n]`: entry j holds the unit vector j for every example."""
    n = z.shape[-1]
    eye = torch.eye(n, dtype=z.dtype, device=z.device)
    return eye.unsqueeze(-2).expand(*z.shape[:-2], n, z.shape[-2], n)


def _draw(
    one: Callable[[Tensor, torch.Generator], Tensor],
    z: Tensor,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """`one(z, generator)`, for each replica `z[r]` with its own generator where there are several."""
    if len(generators) == 1:
        return one(z, generators[0])
    return torch.stack([one(z_r, g) for z_r, g in zip(z, generators, strict=True)])


def _normal_like(z: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(z, memory_format=torch.contiguous_format).normal_(generator=generator)


class Gaussian:
    """r(y|z) = N(y; z, I), the case Σ̃ = I that the optimizers train with: h = ½ ⟨‖y − z‖²⟩ (Eq. 6)."""

    @staticmethod
    def error(z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """e_L = y − z, the negative gradient of the loss of each example (Eq. 8)."""
        return torch.sub(y, z, out=out)

    @staticmethod
    def sample_error(out: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """e_L for targets drawn from the model: y ~ N(z, I), so y − z ~ N(0, I) whatever z is.

        One generator fills `out`; several fill one replica `out[r]` each.
        """
        replicas = [out] if len(generators) == 1 else out
        for replica, generator in zip(replicas, generators, strict=True):
            if replica.is_contiguous():
                replica.normal_(generator=generator)
            else:  # the same numbers, however `out` lies in memory
                replica.copy_(_normal_like(replica, generator))
        return out

    @staticmethod
    def loss(error: Tensor) -> Tensor:
        """h = ½ · mean over examples of ‖y − z‖²: e_L `[..., M, n_L]` → `[...]`."""
        return error.square().sum((-2, -1)).mul_(0.5 / error.shape[-2])

    @staticmethod
    def losses(z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (y - z).square().sum(-1)

    @staticmethod
    def sample(z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + _draw(_normal_like, z, generators)

    @staticmethod
    def fisher_times(z: Tensor, u: Tensor) -> Tensor:
        return u

    @staticmethod
    def hessian_times(z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return u


class GaussianMean:
    """r(y|z) = N(y; z, Σ̃) with a fixed Σ̃ `[n, n]`: F_R = H_L = Σ̃⁻¹.

    Raises InputError where Σ̃ is not symmetric positive definite.
    """

    def __init__(self, covariance: Tensor) -> None:
        self.root, info = torch.linalg.cholesky_ex(covariance)
        if info.any() or not torch.allclose(covariance, covariance.mT):
            raise InputError("covariance must be symmetric positive definite")
        self.precision = torch.cholesky_inverse(self.root)

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * ((y - z) * ((y - z) @ self.precision)).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.matmul(y - z, self.precision, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return z + _draw(_normal_like, z, generators) @ self.root.mT

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u @ self.precision

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return u @ self.precision


class GaussianNatural:
    """r(y|z) = N(y; μ, Σ) of natural parameters z = (Σ⁻¹μ, vec Σ⁻¹), so n = d + d² (M §8).

    log r = zᵀT(y) − log Z(z) with T = (y, −½ vec yyᵀ) and log Z = ½ μᵀΣ⁻¹μ − ½ log det Σ⁻¹. Of the matrix in z only
    the symmetric part counts. Where that is not positive definite z is no density: the loss is ∞.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension  # d

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Σ⁻¹μ `[..., M, d]` and the symmetric part of Σ⁻¹ `[..., M, d, d]`."""
        d = self.dimension
        matrix = z[..., d:].unflatten(-1, (d, d))
        return z[..., :d], 0.5 * (matrix + matrix.mT)

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """μ and Σ."""
        linear, precision = self.split(z)
        covariance = torch.linalg.inv_ex(precision).inverse
        return _apply(covariance, linear), covariance

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        precision = self.split(z)[1]
        r = y - self.moments(z)[0]
        loss = 0.5 * (r * _apply(precision, r)).sum(-1) - 0.5 * torch.linalg.slogdet(precision)[1]
        return torch.where(torch.linalg.cholesky_ex(precision).info == 0, loss, math.inf)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """T(y) − E[T(y)]."""
        mean, covariance = self.moments(z)
        second = 0.5 * (_outer(mean, mean) + covariance - _outer(y, y))
        return torch.cat([y - mean, second.flatten(-2)], -1, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        mean, covariance = self.moments(z)
        return mean + _apply(
            torch.linalg.cholesky(covariance), _draw(_normal_like, mean, generators)
        )

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        """∇² log Z: (a, B) ↦ (dμ, −½(dμ μᵀ + μ dμᵀ − ΣBΣ)) with dμ = Σ(a − Bμ)."""
        mean, covariance = self.moments(z)
        a, b = self.split(u)
        d_mean = _apply(covariance, a - _apply(b, mean))
        cross = _outer(d_mean, mean)
        second = 0.5 * (covariance @ b @ covariance - cross - cross.mT)
        return torch.cat([d_mean, second.flatten(-2)], -1)

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return self.fisher_times(z, u)


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a.unsqueeze(-1) * b.unsqueeze(-2)


class Categorical:
    """Softmax inside L: L = −yᵀz + log Σ_j exp z_j, z logits, y one-hot or class probabilities (M §8).

    With p = softmax(z), F_R = H_L = S = diag p − ppᵀ.
    """

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return z.logsumexp(-1) - (y * z).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.softmax(-1), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return CategoricalProbabilities().sample(z.softmax(-1), generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return softmax_jacobian_times(z.softmax(-1), u)

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return softmax_jacobian_times(z.softmax(-1), u)


def softmax_jacobian_times(p: Tensor, u: Tensor) -> Tensor:
    """S u = (diag p − ppᵀ) u, the derivative of p = softmax(z); S is symmetric."""
    return p * (u - (p * u).sum(-1, keepdim=True))


class CategoricalProbabilities:
    """r(y|z) = z_y: z holds the class probabilities themselves, L = −Σ_j y_j log z_j, y one-hot.

    F_R = diag 1/z, H_L = diag y/z².
    """

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return -(y * z.log()).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.div(y, z, out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        def one(p: Tensor, generator: torch.Generator) -> Tensor:
            classes = torch.multinomial(p.flatten(0, -2), 1, generator=generator)
            y = torch.zeros_like(p, memory_format=torch.contiguous_format)
            return y.scatter_(-1, classes.view(*p.shape[:-1], 1), 1.0)

        return _draw(one, z, generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return u / z

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return y * u / z.square()


class SoftmaxInNetwork:
    """Softmax inside f: the softmax is the network's last step, and the loss is one of probabilities.

    z is the input of the softmax, as in `Categorical`, and loss, error and Fisher are the same. `hessian_times` is
    what a GGN of this f has between J_zᵀ and J_z: S H_L S with H_L = diag y/p². The softmax is linearised with the
    rest of f, so that this is not ∂²L/∂z².
    """

    def __init__(self) -> None:
        self.inner = CategoricalProbabilities()

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return -(y * z.log_softmax(-1)).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.softmax(-1), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return self.inner.sample(z.softmax(-1), generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(-1)
        return softmax_jacobian_times(p, self.inner.fisher_times(p, softmax_jacobian_times(p, u)))

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        p = z.softmax(-1)
        inside = self.inner.hessian_times(p, y, softmax_jacobian_times(p, u))
        return softmax_jacobian_times(p, inside)


class Bernoulli:
    """Independent y_j ∈ {0, 1} with P(y_j = 1) = σ(z_j): F_R = H_L = diag σ(z)(1 − σ(z))."""

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return (softplus(z) - y * z).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sub(y, z.sigmoid(), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        return _draw(lambda p, g: torch.bernoulli(p, generator=g), z.sigmoid(), generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        p = z.sigmoid()
        return p * (1 - p) * u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        return self.fisher_times(z, u)


class StudentT:
    """Independent y_j = z_j + s t_ν: not an exponential family, F_R ≠ H_L, and L is not convex in z.

    With r = y − z: L = ½(ν+1) log(1 + r²/νs²), F_R = (ν+1)/((ν+3)s²) I and
    H_L = diag (ν+1)(νs² − r²)/(νs² + r²)².
    """

    def __init__(self, degrees: float, scale: float) -> None:
        self.degrees = degrees  # ν
        self.scale = scale  # s
        self.spread = degrees * scale**2  # νs²

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return 0.5 * (self.degrees + 1) * torch.log1p((y - z).square() / self.spread).sum(-1)

    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        r = y - z
        return torch.div((self.degrees + 1) * r, self.spread + r.square(), out=out)

    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        def one(z: Tensor, generator: torch.Generator) -> Tensor:
            """t_ν = N(0, 1) / √(χ²_ν / ν), and χ²_ν = 2 Gamma(ν/2)."""
            shape = torch.full_like(z, self.degrees / 2, memory_format=torch.contiguous_format)
            gamma = torch._standard_gamma(shape, generator=generator)
            return _normal_like(z, generator) * (0.5 * self.degrees / gamma).sqrt()

        return z + self.scale * _draw(one, z, generators)

    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        return (self.degrees + 1) / ((self.degrees + 3) * self.scale**2) * u

    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        squared = (y - z).square()
        return (self.degrees + 1) * (self.spread - squared) / (self.spread + squared).square() * u
