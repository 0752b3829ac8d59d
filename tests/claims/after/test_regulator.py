import pytest
import torch

from nglab.claims.after.layer_coefficients import coefficients
from nglab.claims.after.regulator import (
    decreases,
    dense,
    error_of,
    layers_of,
    problem,
    riccati_step,
    shell_move,
)
from nglab.claims.linear_problems import NARROW, WHOLE


@pytest.mark.parametrize("activation", ["identity", "tanh", "softplus", "sigmoid"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2), (2, 5, 1, 3)])
def test_the_damped_recursion_is_the_damped_gauss_newton_step(widths, activation, bias):
    p = problem(widths, activation, bias, examples=4)
    step = torch.cat(riccati_step(layers_of(p), error_of(p), 1e-2))
    jacobian = p.jacobian().flatten(0, 1)
    fisher = jacobian.mT @ jacobian / 4 + 1e-2 * torch.eye(jacobian.shape[1])
    torch.testing.assert_close(
        step, torch.linalg.solve(fisher, jacobian.mT @ error_of(p).flatten() / 4)
    )
    torch.testing.assert_close(step, dense(p, 1e-2))


@pytest.mark.parametrize("widths", (WHOLE | NARROW).values())
def test_without_damping_it_moves_a_linear_network_as_the_shells_do(widths):
    p = problem(widths, "identity", bias=False, seed=3)
    jacobian = p.jacobian().flatten(0, 1)
    move = jacobian @ torch.cat(riccati_step(layers_of(p), error_of(p)))
    torch.testing.assert_close(move, shell_move(p), rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(move, jacobian @ dense(p, 0.0), rtol=1e-7, atol=1e-9)


def test_layers_carry_and_steer_as_the_network_does():
    """J of layer i = the later layers' carrying times its steering."""
    p = problem((3, 4, 2, 3), "tanh", bias=True, examples=5)
    layers, columns = layers_of(p), []
    for i, layer in enumerate(layers):
        moved = layer.steered
        for later in layers[i + 1 :]:
            moved = later.carried @ moved
        columns.append(moved)
    torch.testing.assert_close(torch.cat(columns, 1), p.jacobian().flatten(0, 1))


def test_each_rule_gains_as_much_as_the_one_before_and_none_more_than_the_exact_step():
    gains = decreases(problem((5, 4, 2, 4, 5), "tanh", False, examples=12))
    assert gains == sorted(gains) and gains[-1] <= 1 + 1e-10
    assert len(gains) == len(coefficients(torch.eye(2, dtype=torch.float64)))
