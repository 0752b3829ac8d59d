"""The Kronecker factors of a layer's Fisher block: F_ii = Λ_i ⊗ Λ̃_i (Eq. 22 with i = j)."""

from torch import Tensor

from nglab.networks import add_outer_


def second_moment(rows: Tensor, out: Tensor) -> Tensor:
    """⟨r rᵀ⟩ over the rows: `[(batch,) M, n]` → `[(batch,) n, n]`.

    Of the layer inputs x_{i-1} it is Λ_i; of errors e_i of targets sampled from the model it is Λ̃_i (Eqs. 14, 15, 20).
    """
    return add_outer_(out, rows, rows, scale=1 / rows.shape[-2], keep=0)


def equal_split(root: Tensor, inputs: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """√λ on both factors, as the paper has it (Eq. 20)."""
    return root, root


def pi_split(root: Tensor, inputs: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """π√λ on Λ and √λ/π on Λ̃, with π² = (tr Λ / dim Λ) / (tr Λ̃ / dim Λ̃).

    The asymmetric damping of Martens & Grosse (2015), §6.3, which the paper's conclusions ask for.
    """
    pi = (_mean_diagonal(inputs) / _mean_diagonal(errors)).sqrt()
    return root * pi, root / pi


def _mean_diagonal(a: Tensor) -> Tensor:
    return a.diagonal(dim1=-2, dim2=-1).mean(-1)


SPLITS = {"equal": equal_split, "pi": pi_split}
