import torch
from curvature.cases import problem
from problems import randn
from scipy.sparse.linalg import cg
from torch.testing import assert_close

from nglab.curvature.ggn import GGN
from nglab.curvature.solvers.conjugate_gradient import conjugate_gradient


def ggn():
    network, params, x, y, likelihood = problem("tanh with bias")
    return GGN(network, params, x, y, likelihood)


def test_solves_the_damped_system_of_an_operator():
    c = ggn()
    b = randn(c.shape[0], seed=1)
    eye = torch.eye(c.shape[0]).double()
    ours = conjugate_gradient(c, b, damping=0.1, tolerance=1e-12, max_steps=200)
    assert_close(ours.x, torch.linalg.solve(c.to_dense() + 0.1 * eye, b))
    assert ours.residual <= 1e-11 and ours.steps < 200


def test_takes_the_steps_that_scipys_takes():
    a = randn(20, 20, seed=0)
    a = a @ a.T + torch.eye(20)
    b = randn(20, seed=1)
    for steps in (1, 5, 12):
        theirs, _ = cg(a.numpy(), b.numpy(), rtol=0.0, atol=0.0, maxiter=steps)
        ours = conjugate_gradient(a, b, damping=0.0, tolerance=0.0, max_steps=steps)
        assert_close(ours.x, torch.as_tensor(theirs))


def test_a_preconditioner_saves_steps_and_keeps_the_solution():
    scale = torch.logspace(0, 6, 40).double()
    a = torch.diag(scale) + 0.01 * torch.ones(40, 40)
    b = randn(40, seed=1)
    plain = conjugate_gradient(a, b, 1.0, 1e-10, 1000)
    helped = conjugate_gradient(a, b, 1.0, 1e-10, 1000, lambda r: r / (a.diagonal() + 1.0)[:, None])
    assert_close(helped.x, torch.linalg.solve(a + torch.eye(40), b))
    assert helped.steps < plain.steps / 3


def test_stops_without_positive_curvature_and_at_nothing_to_do():
    a = torch.diag(torch.tensor([1.0, -1.0])).double()
    solution = conjugate_gradient(a, torch.tensor([0.0, 1.0]).double(), 0.0, 1e-10, 10)
    assert solution.steps == 1 and solution.x.count_nonzero() == 0 and not solution.ok
    nothing = conjugate_gradient(a, torch.zeros(2).double(), 0.0, 1e-10, 10)
    assert (nothing.steps, nothing.residual) == (0, 0.0) and nothing.ok


def test_every_column_stops_by_itself():
    a = torch.diag(torch.tensor([1.0, 2.0, 3.0])).double()
    b = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).double()
    solution = conjugate_gradient(a, b, 0.0, 1e-10, 10)
    assert_close(solution.x, torch.linalg.solve(a, b))
    assert solution.ok and solution.steps == 3
    assert not conjugate_gradient(a, b, 0.0, 1e-10, 2).ok
