import numpy as np
import pytest
import torch

from nglab.claims.after.one_step import (
    around,
    degrees_off,
    least_squares,
    mismatch,
    predicted_degrees,
)


@pytest.mark.parametrize("distance", [0.01, 1.0, 100.0])
def test_one_step_of_the_fisher_reaches_the_optimum_and_one_of_the_empirical_does_not(distance):
    p = least_squares(30)
    for theta in around(p, distance, 5):
        torch.testing.assert_close(theta + p.natural_step(theta), p.optimum)
        assert float((theta + p.empirical_step(theta) - p.optimum).norm()) > 0.01 * distance


def test_the_matrices_and_the_gradient_by_their_definitions():
    p, theta = least_squares(20), torch.tensor([0.3, -1.0], dtype=torch.float64)
    rows = torch.cat([p.x, torch.ones_like(p.x)], 1)
    error = p.y[:, 0] - rows @ theta
    torch.testing.assert_close(p.descent(theta), rows.mT @ error / 20)
    torch.testing.assert_close(p.fisher(theta), rows.mT @ rows / 20)
    weighted = rows * error[:, None]
    torch.testing.assert_close(p.empirical(theta), weighted.mT @ weighted / 20)


def test_the_predicted_turn_is_that_of_the_population():
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    rows = np.stack([nodes, np.ones(8)], 1)
    for angle in np.linspace(0.1, 3.0, 7):
        way = np.array([np.cos(angle), np.sin(angle)])
        squares = weights / weights.sum() * (rows @ way) ** 2
        step = np.linalg.solve(rows.T @ (rows * squares[:, None]), way)
        cosine = step @ way / np.linalg.norm(step)
        assert predicted_degrees(np.array([angle]))[0] == pytest.approx(
            np.rad2deg(np.arccos(cosine)), abs=1e-6
        )


def test_far_away_a_large_sample_turns_as_predicted():
    p = least_squares(50_000)
    theta = around(p, 1e4, 8)[1]
    assert degrees_off(p, theta) == pytest.approx(
        predicted_degrees(np.array([np.pi / 4]))[0], abs=2
    )


def test_at_the_optimum_the_empirical_fisher_is_the_fisher_where_the_noise_is_the_models():
    assert mismatch(least_squares(50_000)) < 0.05
    assert mismatch(least_squares(50_000, widening=1.0)) > 1
