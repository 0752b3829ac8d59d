"""Output densities r(y|z) of the network's output z = x_L, with L(y, z) = −log r(y|z).

Layout: z and errors are `[..., M, n]`, y is `[..., M, n_y]`, one example a row; u is `[..., M, n]` and z
broadcasts against it. Outputs are summed; only `loss` and `measures` average over examples.
F_R and H_L are applied, never stored: `output_fisher` and `output_hessian` build them for small n.
M = Martens (2014), section and equation numbers are his; plain equation numbers are those of Bernacchia, Lengyel &
Hennequin (2018).
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from nglab.randomness import normal_
from nglab.settings.checked import Settings
from nglab.settings.messages import demand


@dataclass(frozen=True, eq=False)
class Likelihood(Settings):
    """What training, curvature and claims ask of r(y|z). A new one defines the abstract methods; the rest follows.

    `takes` are the kinds of targets that it is a density of: "real", "unit interval", "classes" (one-hot).
    `columns` are the likelihood's own figures of an evaluation, beside the loss: name → meaning and unit, as `measures`
    gives them; the record has them as `test_<name>`. `error_is_difference`: e_L = y − z.

    L(y, z) = −log r(y|z) of outputs z `[..., M, n]` and targets y `[..., M, n_y]`; the loss is its mean over the M
    examples, in units of nats, up to a term that depends on y alone.

    Raises InputError where the data's targets are of a kind that is not among `takes`, or a setting is wrong.

    Source: Martens (2014), §8.

    >>> import nglab as ng
    >>> isinstance(ng.Gaussian(), Likelihood), ng.Categorical().takes
    (True, ('classes',))
    """

    takes: ClassVar[tuple[str, ...]]
    columns: ClassVar[Mapping[str, str]] = {}
    error_is_difference: ClassVar[bool] = False

    @abstractmethod
    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        """L(y, z) of each example `[..., M]`, up to a term that depends on y alone."""

    @abstractmethod
    def error(self, z: Tensor, y: Tensor, out: Tensor | None = None) -> Tensor:
        """e_L = −∂L/∂z = ∇_z log r(y|z), `[..., M, n]`."""

    @abstractmethod
    def sample(self, z: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """y ~ r(·|z). One generator draws everything; several draw one replica `z[r]` each."""

    @abstractmethod
    def fisher_times(self, z: Tensor, u: Tensor) -> Tensor:
        """F_R u with F_R = E_{y~r}[∇ log r ∇ log rᵀ] (M §8), example by example."""

    @abstractmethod
    def hessian_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """H_L u with H_L = ∂²L/∂z² (M Eq. 2), example by example."""

    def ggn_times(self, z: Tensor, y: Tensor, u: Tensor) -> Tensor:
        """What the GGN has between Jᵀ and J (M Eq. 2): H_L u, if z is where the network ends and the loss begins."""
        return self.hessian_times(z, y, u)

    def fisher_root(self, z: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """A root S of F_R = S Sᵀ by its columns, `[..., n, M, n]`, and w `[..., n, M]` of the errors e_L = S w.

        ∇ log r lies in the range of its own second moment F_R, so that there is one. Here S = V √Λ from F_R = V Λ Vᵀ.
        """
        values, vectors = torch.linalg.eigh(output_fisher(self, z))
        least = z.shape[-1] * torch.finfo(z.dtype).eps * values[..., -1:]
        roots = torch.where(values > least, values, 0.0).sqrt()
        w = (error.unsqueeze(-2) @ vectors).squeeze(-2) / torch.where(roots > 0, roots, torch.inf)
        return (vectors * roots.unsqueeze(-2)).movedim(-1, -3), w.mT

    def loss(self, z: Tensor, y: Tensor, error: Tensor | None = None) -> Tensor:
        """h, the mean of L over the examples, `[...]`; `error` is e_L where it has been made already."""
        return self.losses(z, y).mean(-1)

    def sample_error(self, z: Tensor, generators: Sequence[torch.Generator], out: Tensor) -> Tensor:
        """e_L `[..., K, M, n]`, in `out`, for K targets an example drawn from the model: of z `[..., M, n]`."""
        z = z.unsqueeze(-3).expand(out.shape)
        return self.error(z, self.sample(z, generators), out=out)

    def measures(self, z: Tensor, y: Tensor) -> dict[str, Tensor]:
        """What `columns` names, each `[...]`."""
        return {}

    def noise_floor(self, outputs: int, variance: float) -> float | None:
        """h of the best z where each of so many targets is z plus N(0, variance); None where it has no known value."""
        return None

    def check(self, key: str, run: Any) -> None:
        """Raise InputError where the data's targets are of another kind than this density's."""
        targets, name = run.data.targets, type(self).__name__
        taken = ", ".join(self.takes) or "none of ours"
        right = f'a density of "{targets}" targets, as this data has them; {name} is one of {taken}'
        demand(targets in self.takes, key, name, right)


def output_fisher(likelihood: Likelihood, z: Tensor) -> Tensor:
    """F_R of each example as a matrix, `[..., M, n, n]`."""
    return likelihood.fisher_times(z.unsqueeze(-3), unit_vectors(z)).movedim(-3, -1)


def output_hessian(likelihood: Likelihood, z: Tensor, y: Tensor) -> Tensor:
    """H_L of each example as a matrix, `[..., M, n, n]`."""
    u = unit_vectors(z)
    return likelihood.hessian_times(z.unsqueeze(-3), y.unsqueeze(-3), u).movedim(-3, -1)


def unit_vectors(z: Tensor) -> Tensor:
    """`[..., n, M, n]`: entry j holds the unit vector j for every example."""
    n = z.shape[-1]
    eye = torch.eye(n, dtype=z.dtype, device=z.device)
    return eye.unsqueeze(-2).expand(*z.shape[:-2], n, z.shape[-2], n)


def draw(
    one: Callable[[Tensor, torch.Generator], Tensor],
    like: Tensor,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """`one(like, generator)`, for each replica `like[r]` with its own generator where there are several."""
    if len(generators) == 1:
        return one(like, generators[0])
    return torch.stack([one(r, g) for r, g in zip(like, generators, strict=True)])


def normal(like: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1), of the shape of `like`, which need not be contiguous."""
    return normal_(_contiguous(like), generator)


def uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform on [0, 1), of the shape of `like`, which need not be contiguous."""
    return _contiguous(like).uniform_(generator=generator)


def _contiguous(like: Tensor) -> Tensor:
    """Memory whose numbers are drawn in one order, however `like` lies in its own."""
    return torch.empty_like(like, memory_format=torch.contiguous_format)
