"""Every claim of Bernacchia et al. (2018) holds as theory has it, and its picture can be drawn."""

import pytest
from matplotlib.figure import Figure

from nglab.claims import (
    conditioning,
    convergence,
    in_training,
    inverses,
    linear,
    practice,
    unit_changes,
)
from nglab.claims.claim import CLAIMS

MODULES = (linear, conditioning, unit_changes, convergence, practice, in_training, inverses)
NAMES = [
    name
    for name, c in CLAIMS.items()
    if c.measure.__module__ in {module.__name__ for module in MODULES}
]


def test_all_are_there():
    assert set(NAMES) == {
        "gradient", "fisher-blocks", "fisher-rank", "model-covariances", "any-inverse", "eq10-exact", "eq16-pinv",
        "inverse-blocks", "exponential", "projected", "damping-limit", "predicted-decrease", "few-samples",
        "inverse-methods", "eq10-digits", "eq10-covariant", "exponential-steps", "few-passes", "sgd-slows",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_claim(name):
    result = CLAIMS[name].measure()
    assert not [check for check in result.checks if not check.holds]
    if result.draw:
        axes = Figure().subplots()
        result.draw(axes)
        assert axes.lines
