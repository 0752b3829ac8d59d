"""The natural gradient of deep linear networks: products, whitening, Eqs. 10 and 16, and the shells.

Layout. W_i is `[n_i, n_{i-1}]` for i = 1 … L (lists start at 0); one network, no bias, no replica axis. With
W = W_L ⋯ W_1, B_i = W_L ⋯ W_{i+1} `[n_L, n_i]` and A_i = W_{i-1} ⋯ W_1 `[n_{i-1}, n_0]`, layer i's step δ_i moves the
function by B_i δ_i A_i. Let Σ̃ = S Sᵀ be the model's noise and Σ = ⟨x xᵀ⟩ = K Kᵀ the inputs' second moment. In

    B̂_i = S⁻¹ B_i `[n_L, n_i]`,   Â_i = A_i K `[n_{i-1}, r]`,   R̂ = S⁻¹ (W* − W) K `[n_L, r]`,   W* = ⟨y xᵀ⟩ Σ⁺

the KL metric is Euclidean: Ĵδ = Σ_i B̂_i δ_i Â_i, F = ĴᵀĴ, −∂h/∂W_i = B̂_iᵀ R̂ Â_iᵀ and h = ½ ‖R̂‖² + const. A step
is a natural gradient, for some generalised inverse of F, exactly where Fδ = −∇h.

Equation numbers are those of Bernacchia, Lengyel & Hennequin (2018); docs/exact_natural_gradient.md derives the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

CUTOFF = 1e-10
"""Singular values below CUTOFF × the largest one count as zero, in float64; eigenvalues below CUTOFF²'s share do."""


@dataclass(frozen=True)
class Whitened:
    """A linear network and its residual in the coordinates in which the KL metric is Euclidean."""

    back: list[Tensor]  # B̂_1 … B̂_L
    forth: list[Tensor]  # Â_1 … Â_L
    residual: Tensor  # R̂

    @property
    def depth(self) -> int:
        """L."""
        return len(self.back)

    @cached_property
    def descent(self) -> list[Tensor]:
        """−∂h/∂W_i = B̂_iᵀ R̂ Â_iᵀ (Eq. 13)."""
        return self.pull(self.residual)

    def pull(self, move: Tensor) -> list[Tensor]:
        """Ĵᵀ: a change of the function `[n_L, r]` as one of the parameters, B̂_iᵀ · Â_iᵀ."""
        return [b.mT @ move @ a.mT for b, a in zip(self.back, self.forth, strict=True)]

    def push(self, step: Sequence[Tensor]) -> Tensor:
        """Ĵ: the change of the function that a step makes, Σ_i B̂_i δ_i Â_i (Eq. 17)."""
        moves = [b @ d @ a for b, d, a in zip(self.back, step, self.forth, strict=True)]
        return torch.stack(moves).sum(0)

    def fisher(self, step: Sequence[Tensor]) -> list[Tensor]:
        """F δ = ĴᵀĴ δ, layer by layer."""
        return self.pull(self.push(step))


def products(weights: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """B_1 … B_L and A_1 … A_L; B_L = I and A_1 = I."""
    last, first = weights[-1].shape[0], weights[0].shape[1]
    identity = weights[0].new_ones(max(last, first)).diag()
    back = accumulate(weights[:0:-1], torch.matmul, initial=identity[:last, :last])
    forth = accumulate(weights[:-1], lambda a, w: w @ a, initial=identity[:first, :first])
    return list(back)[::-1], list(forth)


def whiten(
    weights: Sequence[Tensor],
    residual: Tensor,
    input_root: Tensor,
    noise_root: Tensor | None = None,
) -> Whitened:
    """The network with residual W* − W `[n_L, n_0]`, for Σ = K Kᵀ (`input_root` K `[n_0, r]`), Σ̃ = S Sᵀ (None: I)."""
    back, forth = products(weights)
    residual = residual @ input_root
    if noise_root is not None:
        back = [torch.linalg.solve(noise_root, b) for b in back]
        residual = torch.linalg.solve(noise_root, residual)
    return Whitened(back, [a @ input_root for a in forth], residual)


def second_moment_root(moment: Tensor, cutoff: float = CUTOFF) -> tuple[Tensor, Tensor]:
    """K `[n, r]` with K Kᵀ = Σ, columns orthogonal, and its pseudo-inverse K⁺ `[r, n]`; r = rank Σ.

    Eigenvalues below `cutoff` × the largest one count as zero.
    """
    eigenvalues, vectors = torch.linalg.eigh(moment)
    kept = eigenvalues > cutoff * eigenvalues[-1]
    vectors, roots = vectors[:, kept], eigenvalues[kept].sqrt()
    return vectors * roots, (vectors / roots).mT


def eq10(network: Whitened, cutoff: float = CUTOFF) -> list[Tensor]:
    """Eq. 10: δ_i = (1/L) Λ̃_i⁺ ⟨e_i x_{i-1}ᵀ⟩ Λ_i⁺, Λ̃_i = B̂_iᵀ B̂_i (Eq. 14), Λ_i = Â_i Â_iᵀ (Eq. 15).

    The covariances are never formed, for that would square the condition numbers: `cutoff` is of the products' own
    singular values, and the error of the move of the function grows as κ(B̂_i) κ(Â_i), not as its square.
    """
    return [
        gram_solve(b, gram_solve(a.mT, gradient.mT, cutoff).mT, cutoff) / network.depth
        for b, gradient, a in zip(network.back, network.descent, network.forth, strict=True)
    ]


def eq16(network: Whitened, cutoff: float = CUTOFF, damping: Tensor | float = 0.0) -> list[Tensor]:
    """Eq. 16 with Moore–Penrose inverses: δ_i = (1/L) B̂_i⁺ R̂ Â_i⁺, each damped by √λ as in Eq. 20."""
    return [
        damped_pinv(b, damping, cutoff)
        @ network.residual
        @ damped_pinv(a, damping, cutoff)
        / network.depth
        for b, a in zip(network.back, network.forth, strict=True)
    ]


def shells(
    network: Whitened, cutoff: float = CUTOFF, damping: Tensor | float = 0.0
) -> list[Tensor]:
    """The natural gradient of every deep linear network: δ_i = B̂_i⁺ [Σ_{p ≤ i ≤ q} U_p R̂ V_q / (q − p + 1)] Â_i⁺.

    U_p is the orthogonal projector on what col B̂_p adds to col B̂_{p-1}, V_q on what row Â_q adds to row Â_{q+1}. In the
    bases of `Flags` the sum is an elementwise division of R̂ by the number of layers that can move each component. The
    pseudo-inverses are damped by √λ as in Eq. 20; `cutoff` decides what counts as reachable through a layer.
    """
    flags = Flags.of(network, cutoff)
    share = flags.residual(network) / flags.counts.clamp(min=1)
    return [
        damped_pinv(rows.mT @ b, damping, cutoff)
        @ share[: rows.shape[1], : columns.shape[1]]
        @ damped_pinv(a @ columns, damping, cutoff)
        for rows, columns, b, a in zip(*flags.of_layers(), network.back, network.forth, strict=True)
    ]


def tikhonov(
    network: Whitened, cutoff: float = CUTOFF, damping: Tensor | float = 0.0
) -> list[Tensor]:
    """(F + λI)⁻¹ (−∇h), exactly: Ĵᵀ (ĴĴᵀ + λI)⁻¹ R̂, solved in the d ≤ n_L r components of the function it can move.

    ĴĴᵀ X = Σ_i (B̂_i B̂_iᵀ) X (Â_iᵀ Â_i). Makes and factorises a d × d matrix. λ → 0 gives F⁺(−∇h).
    """
    flags = Flags.of(network, cutoff)
    j, k = flags.counts.nonzero(as_tuple=True)
    matrix = network.residual.new_zeros(len(j), len(j))
    for b, a in zip(network.back, network.forth, strict=True):
        left, right = flags.rows.mT @ b, a @ flags.columns
        left, right = left @ left.mT, right.mT @ right
        matrix += left[j[:, None], j] * right[k[:, None], k]
    solution = torch.zeros_like(flags.counts)
    solution[j, k] = solve(matrix, flags.residual(network)[j, k, None], damping)[:, 0]
    return network.pull(flags.rows @ solution @ flags.columns.mT)


FORMS = {"eq16": eq16, "shells": shells, "tikhonov": tikhonov}


def projection(network: Whitened, cutoff: float = CUTOFF) -> Tensor:
    """Σ_{p ≤ q} U_p R̂ V_q, the orthogonal projection of R̂ on the range of Ĵ: how the function moves under F^g(−∇h)."""
    flags = Flags.of(network, cutoff)
    reachable = torch.where(flags.counts > 0, flags.residual(network), 0.0)
    return flags.rows @ reachable @ flags.columns.mT


@dataclass(frozen=True)
class Flags:
    """Orthonormal bases of the outputs and of the whitened inputs that fit every layer at once.

    The first b_i columns of `rows` `[n_L, n_L]` span col B̂_i, the first a_i of `columns` `[r, r]` span row Â_i:
    b_1 ≤ … ≤ b_L = n_L and r = a_1 ≥ … ≥ a_L.
    """

    rows: Tensor
    columns: Tensor
    row_ranks: list[int]  # b_i
    column_ranks: list[int]  # a_i

    @classmethod
    def of(cls, network: Whitened, cutoff: float = CUTOFF) -> "Flags":
        rows, row_ranks = flag(network.back, cutoff)
        columns, column_ranks = flag([a.mT for a in reversed(network.forth)], cutoff)
        return cls(rows, columns, row_ranks, column_ranks[::-1])

    @cached_property
    def counts(self) -> Tensor:
        """`[n_L, r]`: how many layers can move each component, q − p + 1 where p ≤ q and 0 elsewhere."""
        counts = self.rows.new_zeros(len(self.rows), len(self.columns))
        for b, a in zip(self.row_ranks, self.column_ranks, strict=True):
            counts[:b, :a] += 1
        return counts

    def residual(self, network: Whitened) -> Tensor:
        """R̂ in these bases."""
        return self.rows.mT @ network.residual @ self.columns

    def of_layers(self) -> tuple[list[Tensor], list[Tensor]]:
        """The columns of `rows` and of `columns` that span col B̂_i and row Â_i, for every layer."""
        rows = [self.rows[:, :b] for b in self.row_ranks]
        return rows, [self.columns[:, :a] for a in self.column_ranks]


def flag(matrices: Sequence[Tensor], cutoff: float = CUTOFF) -> tuple[Tensor, list[int]]:
    """An orthonormal basis `[n, n]` whose first `ranks[k]` columns span the columns of matrix k, of nested spans.

    The last matrix is of rank n. A direction is new where what it adds exceeds `cutoff` × the matrix's norm.
    """
    basis, ranks = matrices[0][:, :0], []
    for matrix in matrices[:-1]:
        rest = matrix - basis @ (basis.mT @ matrix)
        threshold = cutoff * matrix.norm()
        if basis.shape[1] < min(matrix.shape) and rest.norm() > threshold:
            u, s, _ = torch.linalg.svd(rest, full_matrices=False)
            u = u[:, : min(int((s > threshold).sum()), len(basis) - basis.shape[1])]
            u = torch.linalg.qr(u - basis @ (basis.mT @ u))[0]  # orthogonal to the last digit
            basis = torch.cat([basis, u], 1)
        ranks.append(basis.shape[1])
    return torch.linalg.qr(basis, mode="complete")[0], [*ranks, len(basis)]


def pinv(matrix: Tensor, cutoff: float = CUTOFF) -> Tensor:
    """The Moore–Penrose inverse, singular values below `cutoff` × the largest one taken as zero."""
    return torch.linalg.pinv(matrix, rtol=cutoff)


def gram_solve(matrix: Tensor, right: Tensor, cutoff: float = CUTOFF) -> Tensor:
    """(MᵀM)⁺ b = V S⁻¹ S⁻¹ Vᵀ b from M = U S Vᵀ, singular values of M below `cutoff` × the largest one taken as zero.

    One factor after the other: V S⁻² Vᵀ as a matrix has the rounding of its largest entries in all of them.
    """
    _, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    kept = s > cutoff * s[:1]
    scaled = vh[kept] / s[kept, None]
    return scaled.mT @ (scaled @ right)


def damped_pinv(matrix: Tensor, damping: Tensor | float, cutoff: float = CUTOFF) -> Tensor:
    """(MᵀM + √λ I)⁻¹ Mᵀ = Mᵀ (M Mᵀ + √λ I)⁻¹; M⁺ where λ = 0."""
    if not damping:
        return pinv(matrix, cutoff)
    if matrix.shape[0] > matrix.shape[1]:
        return solve(matrix.mT @ matrix, matrix.mT, damping**0.5)
    return solve(matrix @ matrix.mT, matrix, damping**0.5).mT


def solve(matrix: Tensor, right: Tensor, damping: Tensor | float) -> Tensor:
    """(A + δI)⁻¹ b for symmetric A; not a number where A + δI is not numerically positive definite."""
    factor, info = torch.linalg.cholesky_ex(matrix + damping * torch.eye(len(matrix)).to(matrix))
    return torch.cholesky_solve(right, factor.masked_fill(info != 0, torch.nan))
