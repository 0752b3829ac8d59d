"""What every solver does alike. A new one is a line of `SOLVERS`."""

import pytest
import torch
from problems import randn, replicas
from torch.testing import assert_close

from nglab.curvature.ggn import GGN
from nglab.curvature.solvers.cholesky import Cholesky
from nglab.curvature.solvers.conjugate_gradient import ConjugateGradient
from nglab.curvature.solvers.pseudo_inverse import PseudoInverse
from nglab.curvature.solvers.randomized_svd import RandomizedSVD
from nglab.curvature.solvers.second_moment import SecondMoment
from nglab.curvature.solvers.sherman_morrison import ShermanMorrison
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.layers import as_batch
from nglab.networks.network import Network

SOLVERS = {
    "Cholesky": Cholesky(),
    "ConjugateGradient": ConjugateGradient(tolerance=1e-13, max_steps=1000),
    "PseudoInverse": PseudoInverse(cutoff=None),
    "RandomizedSVD": RandomizedSVD(rank=100, oversample=0, power_steps=0, seed=0),
    "ShermanMorrison": ShermanMorrison(),
}
BY_ROWS = {"ShermanMorrison"}  # solve for a SecondMoment alone

every_solver = pytest.mark.parametrize("name", SOLVERS)
every_inverter = pytest.mark.parametrize("name", [name for name in SOLVERS if name not in BY_ROWS])
every_size = pytest.mark.parametrize("n", [1, 2, 7, 30])
stacks = pytest.mark.parametrize("leading", [(), (3,), (2, 3)])
LAMBDA = 0.3


def matrix(name, n, leading=(), rank=None, dtype=torch.float64):
    """A random matrix as the solver takes it, and the same as a tensor."""
    moment = SecondMoment(randn(*leading, rank or n + 2, n, seed=n).to(dtype))
    return (moment if name in BY_ROWS else moment.to_dense()), moment.to_dense()


def damped(a, damping):
    damping = torch.as_tensor(damping, dtype=a.dtype)
    return a + damping[..., None, None] * torch.eye(a.shape[-1], dtype=a.dtype)


def lambdas(leading):
    """λ for every member, and one for all of them."""
    return [LAMBDA, LAMBDA * (1 + torch.rand(leading, dtype=torch.float64))]


@every_solver
@every_size
@stacks
def test_solves_as_torch_does(name, n, leading):
    a, dense = matrix(name, n, leading)
    for damping in lambdas(leading):
        for b in (randn(*leading, n, seed=1), randn(*leading, n, 3, seed=2)):
            solution = SOLVERS[name].solve(a, b, damping)
            right = b if b.dim() == dense.dim() else b.unsqueeze(-1)
            assert_close(solution.x, torch.linalg.solve(damped(dense, damping), right).view_as(b))
            assert solution.ok.shape == solution.residual.shape == leading
            assert solution.ok.all() and (solution.residual < 1e-10).all()


@every_inverter
@every_size
@stacks
def test_inverts_what_stands_on_and_above_the_diagonal(name, n, leading):
    a, dense = matrix(name, n, leading)
    damping = lambdas(leading)[1]
    a = a.triu() + torch.full_like(a, torch.nan).tril(-1)
    info = torch.full(leading, 7, dtype=torch.int32)
    SOLVERS[name].invert_(a, damping, info)
    assert info.shape == leading and not info.any()
    a, dense = as_batch(a.view(1, *a.shape)), as_batch(damped(dense, damping).view(1, *a.shape))
    v = randn(*a.shape[:-1], 3, seed=1)
    for out in (torch.empty_like(v), torch.empty_like(v.mT).mT):  # by rows, by columns
        SOLVERS[name].from_left(a, v, out)
        assert_close(out, torch.linalg.solve(dense, v))
        SOLVERS[name].from_right(v.mT, a, out.mT)
        assert_close(out, torch.linalg.solve(dense, v))


@every_inverter
def test_solves_with_the_operators_of_a_stack_of_networks(name):
    network = Network((2, 3, 2), "tanh", bias=True)
    x, y = randn(2, 9, 2, seed=1), randn(2, 9, 2, seed=2)
    ggn = GGN(network, replicas(network, 2)[1], x, y, Gaussian())
    b = randn(2, ggn.shape[-1], seed=3)
    solution = SOLVERS[name].solve(ggn, b, LAMBDA)
    dense = damped(ggn.to_dense(), LAMBDA)
    assert_close(solution.x, torch.linalg.solve(dense, b[..., None])[..., 0])
    assert solution.ok.tolist() == [True, True]


@every_solver
def test_a_singular_matrix_is_solved_with_damping(name):
    a, dense = matrix(name, 9, rank=2)
    b = randn(9, seed=1)
    solution = SOLVERS[name].solve(a, b, 1e-3)
    assert_close(solution.x, torch.linalg.solve(damped(dense, 1e-3), b))
    assert solution.ok


@every_solver
def test_what_is_not_positive_definite_is_reported_of_each_member(name):
    a, dense = matrix(name, 6, (3,))
    eigenvalues = torch.linalg.eigvalsh(dense)
    damping = torch.stack(
        [eigenvalues.new_tensor(0.1), -eigenvalues[1, 3] - 0.01, -eigenvalues[2, 5] - 1]
    )
    assert SOLVERS[name].solve(a, randn(3, 6, seed=1), damping).ok.tolist() == [True, False, False]
    if name not in BY_ROWS:
        info = torch.full((3,), 7, dtype=torch.int32)
        SOLVERS[name].invert_(a, damping, info)
        assert (info == 0).tolist() == [True, False, False]


@every_solver
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_a_number_is_reported_of_its_member_alone(name, bad):
    a, dense = matrix(name, 5, (2,))
    (a.rows if name in BY_ROWS else a)[1] = bad
    b = randn(2, 5, seed=1)
    solution = SOLVERS[name].solve(a, b, LAMBDA)
    assert solution.ok.tolist() == [True, False]
    assert_close(solution.x[0], torch.linalg.solve(damped(dense[0], LAMBDA), b[0]))


@every_solver
def test_a_stack_is_solved_as_its_members(name):
    a, dense = matrix(name, 6, (4,))
    b, damping = randn(4, 6, 2, seed=1), lambdas((4,))[1]
    together = SOLVERS[name].solve(a, b, damping)
    for r in range(4):
        one = SecondMoment(a.rows[r]) if name in BY_ROWS else dense[r]
        alone = SOLVERS[name].solve(one, b[r], damping[r])
        assert_close(together.x[r], alone.x)
        assert together.ok[r] == alone.ok


@every_solver
def test_in_single_precision(name):
    a, dense = matrix(name, 20, (2,), dtype=torch.float32)
    b = randn(2, 20, seed=1).float()
    solution = SOLVERS[name].solve(a, b, LAMBDA)
    expected = torch.linalg.solve(damped(dense.double(), LAMBDA), b.double())
    assert solution.x.dtype is torch.float32 and solution.ok.all()
    assert_close(solution.x.double(), expected, rtol=1e-4, atol=1e-4)


@every_solver
def test_nothing_on_the_right_is_solved_by_nothing(name):
    a, _ = matrix(name, 4)
    solution = SOLVERS[name].solve(a, torch.zeros(4).double(), LAMBDA)
    assert solution.ok and solution.residual == 0 and solution.x.count_nonzero() == 0
