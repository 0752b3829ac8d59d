import pytest
import torch

from nglab.claims.after.layer_coefficients import (
    coefficients,
    expected_overlaps,
    from_products,
    left,
    line,
    network,
    overlaps,
    own_steps,
    taper,
    waist,
)
from nglab.claims.linear_problems import linear_problem
from nglab.curvature.deep_linear import pinv, projection

WIDTHS = [(4, 4, 4, 4), (6, 4, 2, 3, 7), (3, 6, 5), (5, 2, 4, 1, 3)]


def projectors(net):
    return [b @ pinv(b) for b in net.back], [pinv(a) @ a for a in net.forth]


@pytest.mark.parametrize("widths", WIDTHS)
def test_layers_move_projections_of_the_residual(widths):
    net = network(widths, 0)
    left_of, right_of = projectors(net)
    moves = torch.stack([p @ net.residual @ q for p, q in zip(left_of, right_of, strict=True)])
    flat = moves.flatten(1)
    torch.testing.assert_close(overlaps(net), flat @ flat.mT)


@pytest.mark.parametrize("widths", WIDTHS)
def test_what_the_widths_alone_say_is_the_mean_over_residuals(widths):
    """E⟨P_i R Q_i, P_j R Q_j⟩ = tr(P_i P_j) tr(Q_i Q_j) for an R of independent entries of variance 1."""
    net = network(widths, 10)
    left_of, right_of = projectors(net)
    exact = torch.stack(
        [
            torch.stack(
                [
                    torch.trace(p @ r) * torch.trace(q @ s)
                    for r, s in zip(left_of, right_of, strict=True)
                ]
            )
            for p, q in zip(left_of, right_of, strict=True)
        ]
    )
    expected, movable = expected_overlaps(widths)
    torch.testing.assert_close(expected, exact)
    assert 0 < movable <= widths[0] * widths[-1]


@pytest.mark.parametrize("widths", WIDTHS)
def test_the_share_left_is_that_of_the_step(widths):
    net = network(widths, 20)
    reachable = projection(net)
    system = overlaps(net)
    shares = []
    for c in coefficients(system):
        step = [float(k) * d for k, d in zip(c, own_steps(net), strict=True)]
        remains = float((reachable - net.push(step)).square().sum() / reachable.square().sum())
        shares.append(left(system, float(reachable.square().sum()), c))
        assert shares[-1] == pytest.approx(remains, abs=1e-10)
    assert shares[0] >= shares[1] - 1e-12 and shares[1] >= shares[2] - 1e-12


@pytest.mark.parametrize("layers", [2, 6, 10])
@pytest.mark.parametrize(("width", "narrow"), [(8, 1), (8, 5), (3, 3)])
def test_a_waist_wants_2n_over_n_plus_w(layers, width, narrow):
    system, _ = expected_overlaps(waist(layers, width, narrow))
    assert layers * line(system) == pytest.approx(2 * width / (width + narrow))


def test_the_ends_of_a_taper_want_1_whatever_the_depth():
    for layers in (4, 8, 16):
        c = coefficients(expected_overlaps(taper(layers))[0])[2]
        assert c[0] == pytest.approx(1, abs=1e-6) and c[-1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("widths", WIDTHS)
def test_j_v_on_examples_makes_the_same_system(widths):
    p = linear_problem(widths)
    torch.testing.assert_close(from_products(p), overlaps(p.whitened))
