"""Which of the iterates, and how far along it: by the loss itself, where the quadratic model may be wrong."""

from collections.abc import Callable

import torch
from torch import Tensor

SHRINK, LEAST_DECREASE, TRIES = 0.8, 1e-2, 60
"""Of the line search: t falls by it, c, and how often (Martens 2010, §4.8, and the code of that paper)."""


def best_iterate(
    iterates: list[Tensor], loss_after: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """From the last iterate `[..., P]` back as long as the loss `[...]` does not rise (Martens 2010, §4.6).

    Returns the iterate reached, its loss, and the loss of the last iterate.
    """
    best = iterates[-1]
    loss = of_last = loss_after(best)
    going = torch.ones_like(loss, dtype=torch.bool)
    for earlier in reversed(iterates[:-1]):
        trial = loss_after(earlier)
        going = going & (trial <= loss)
        if not going.any():
            break
        best = torch.where(going.unsqueeze(-1), earlier, best)
        loss = torch.where(going, trial, loss)
    return best, loss, of_last


def line_search(
    step: Tensor, slope: Tensor, loss: Tensor, loss_there: Tensor,
    loss_after: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The largest t = 0.8^j with h(t δ) ≤ h(0) − c t ⟨−∇h, δ⟩ (Armijo), `[...]`, and whether there is one.

    `slope` is ⟨−∇h, δ⟩, `loss` h(0) and `loss_there` h(δ). The loss never rises, also where the slope is negative.
    """
    t = torch.ones_like(loss)
    least = LEAST_DECREASE * slope.clamp(min=0)
    found = loss_there <= loss - least
    for _ in range(TRIES):
        if found.all():
            break
        t = torch.where(found, t, SHRINK * t)
        found = found | (loss_after(t.unsqueeze(-1) * step) <= loss - t * least)
    return t, found
