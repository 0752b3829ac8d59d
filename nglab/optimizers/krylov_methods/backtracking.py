"""Which of the iterates, and how far along it: by the loss itself, where the quadratic model may be wrong."""

from collections.abc import Callable

from torch import Tensor

SHRINK, LEAST_DECREASE, TRIES = 0.8, 1e-2, 60
"""Of the line search: t falls by it, c, and how often (Martens 2010, §4.8, and the code of that paper)."""


LossAfter = Callable[[Tensor], float]
"""h after a step `[P]`; infinite where it is not a number."""


def best_iterate(iterates: list[Tensor], loss_after: LossAfter) -> tuple[Tensor, float, float]:
    """From the last iterate back as long as the loss does not rise (Martens 2010, §4.6).

    Returns the iterate reached, its loss, and the loss of the last iterate.
    """
    *earlier, best = iterates
    loss = of_last = loss_after(best)
    for iterate in reversed(earlier):
        trial = loss_after(iterate)
        if trial > loss:
            break
        best, loss = iterate, trial
    return best, loss, of_last


def line_search(
    step: Tensor, slope: float, loss: float, loss_there: float, loss_after: LossAfter
) -> float:
    """The largest t = 0.8^j with h(tδ) ≤ h(0) − c t ⟨−∇h, δ⟩ (Armijo); 0 where there is none.

    `slope` is ⟨−∇h, δ⟩, `loss` h(0) and `loss_there` h(δ). The loss never rises, also where the slope is negative.
    """
    t, least = 1.0, LEAST_DECREASE * max(slope, 0.0)
    for _ in range(TRIES):
        if loss_there <= loss - t * least:
            return t
        t *= SHRINK
        loss_there = loss_after(t * step)
    return 0.0
