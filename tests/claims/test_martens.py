import pytest
import torch
from matplotlib.figure import Figure

from nglab.claims import fishers, geodesic, invariance, metrics, quadratic_model, reach  # noqa: F401
from nglab.claims.claim import CLAIMS
from nglab.claims.small_problems import (
    LIKELIHOODS,
    STUDENT,
    distribution,
    random_problem,
    slope,
    standard_errors,
    target_nodes,
)

NAMES = [
    "fisher-forms",
    "fisher-ggn",
    "product-density",
    "softmax-side",
    "matvec",
    "ggn-psd",
    "kl-quadratic",
    "steepest-descent",
    "empirical-fisher",
    "invariance",
    "quadratic-distance",
    "same-data",
    "schedules",
    "model-reach",
    "geodesic",
    "ggn-linearised",
]


@pytest.mark.parametrize("name", NAMES)
def test_claim_holds_and_draws(name):
    result = CLAIMS[name].measure()
    wrong = [(c.what, c.measured, c.expected) for c in result.checks if not c.holds]
    assert not wrong
    assert all(c.least > float("-inf") or c.most < float("inf") for c in result.checks)
    if result.draw:
        axes = Figure().add_subplot()
        result.draw(axes)
        assert axes.lines


@pytest.mark.parametrize("name", [*LIKELIHOODS, "Student-t"])
def test_target_nodes_integrate_the_density(name):
    likelihood = (LIKELIHOODS | {"Student-t": STUDENT})[name]
    p = random_problem(likelihood, examples=1)
    nodes = target_nodes(likelihood, p.output)
    mean = sum(w * y for w, y in nodes)
    expected = p.output if name == "Student-t" else distribution(likelihood, p.output).mean
    assert sum(w for w, _ in nodes).item() == pytest.approx(1.0)
    if name == "Student-t":
        error = sum(w * likelihood.error(p.output, y) for w, y in nodes)
        torch.testing.assert_close(error, torch.zeros_like(error))
    else:
        torch.testing.assert_close(mean, expected)


def test_slope_of_a_power():
    x = torch.logspace(-3, 0, 5, dtype=torch.float64)
    assert slope(x, 7 * x**3) == pytest.approx(3.0)


def test_the_standard_errors_of_a_mean():
    values = torch.tensor([1.0, 2.0, 3.0, 2.0], dtype=torch.float64)
    assert standard_errors(values) == pytest.approx(2 / ((2 / 3) ** 0.5 / 2))
    assert standard_errors(-values) == pytest.approx(-standard_errors(values))
