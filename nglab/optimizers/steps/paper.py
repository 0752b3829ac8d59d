"""The step of Bernacchia, Lengyel & Hennequin (2018)."""

from dataclasses import dataclass

from nglab.optimizers.steps.fixed import Fixed


@dataclass(frozen=True)
class Paper(Fixed):
    """ΔW_i = (α/L) D_i (Eq. 20): 1/L bounds what the layers do together (Eqs. 22, 23).

    The predicted decrease is (α − α²/2) Σ_i tr(d_iᵀ G_i) with d_i = D_i / L (footnote 1).
    """

    def divisor(self, depth: int) -> int:
        return depth
