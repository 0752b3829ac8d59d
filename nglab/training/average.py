"""The average of the iterates, beside the last one."""

from dataclasses import dataclass

from torch import Tensor

from nglab.networks.layers import Layers


@dataclass
class Average:
    """θ̄_k = Σ_j β^(k−j) θ_j / Σ_j β^(k−j), j = 1 … k: exponential, the bias of its start divided out.

    In float arithmetic m_k = β m_{k−1} + (1 − β) θ_k with m_0 = 0, and θ̄_k = m_k / (1 − β^k), as the moments of Adam
    (Kingma & Ba 2014, §3).
    """

    keep: float  # β
    mean: Layers  # m_k

    @classmethod
    def of(cls, params: Layers, keep: float) -> "Average":
        """The average before the first step."""
        return cls(keep, params.map(lambda piece: piece.new_zeros(piece.shape)))

    def update_(self, params: Layers) -> None:
        for mean, w in zip(self.mean.pieces, params.pieces, strict=True):
            mean.lerp_(w, 1 - self.keep)

    def at(self, step: int, params: Layers) -> Layers:
        """θ̄ after `step` steps; before the first one the parameters themselves."""
        if step == 0:
            return params
        share = 1 - self.keep**step

        def corrected(mean: Tensor) -> Tensor:
            return mean / share

        return self.mean.map(corrected)
