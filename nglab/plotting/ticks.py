"""Where the ticks of an axis are and what they say."""

import math

from nglab.plotting.loss_axis import power_of_ten

STEPS = (1, 2, 2.5, 5, 10)
"""A round step is one of these times a power of ten."""

Ticks = list[tuple[float, str]]
"""Values with their labels."""


def round_ticks(low: float, high: float, most: int = 6) -> Ticks:
    """Multiples of the smallest round step that has at most so many within the ends.

    >>> round_ticks(-0.1, 2.1)
    [(0.0, '0.0'), (0.5, '0.5'), (1.0, '1.0'), (1.5, '1.5'), (2.0, '2.0')]
    """
    least = (high - low) / most
    power = math.floor(math.log10(least))
    step = next(s * 10.0**power for s in STEPS if s * 10.0**power >= least)
    decimals = max(0, 1 - math.floor(math.log10(step)) if f"{step:e}"[:3] == "2.5" else
                   -math.floor(math.log10(step)))  # fmt: skip
    values = [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [(value, f"{value:.{decimals}f}") for value in values]


def log_ticks(low: float, high: float, most: int = 9) -> Ticks:
    """Powers of ten, every so many of them where they are many; within decades at 1, 2, 5 where there are not two.

    >>> log_ticks(0.02, 40)
    [(0.1, '10⁻¹'), (1.0, '10⁰'), (10.0, '10¹')]
    """
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if math.log10(high / low) >= 2:
        every = 1 + (last - first) // most
        powers = [10.0**n for n in range(first, last + 1) if n % every == 0]
        return [(value, power_of_ten(value)) for value in powers]
    values = [s * 10.0**n for n in range(first - 1, last + 1) for s in (1, 2, 5)]
    return [(value, f"{value:g}") for value in values if low <= value <= high]
