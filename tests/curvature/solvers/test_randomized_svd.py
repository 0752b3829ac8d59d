import torch
from curvature.cases import problem
from problems import randn, rng
from torch.testing import assert_close

from nglab.curvature.fisher import Fisher
from nglab.curvature.solvers.randomized_svd import RandomizedSVD, low_rank


def test_an_operator_of_low_rank_is_found_whole():
    network, params, x, _, likelihood = problem("tanh with bias")
    fisher = Fisher(network, params, x[:3], likelihood)  # rank 3: one degree of freedom an example
    dense = fisher.to_dense()
    vectors, values = low_rank(fisher, 3, rng(0), like=x)
    assert_close((vectors * values) @ vectors.T, dense)
    assert_close(values, torch.linalg.eigvalsh(dense).flip(0)[:3])
    b = randn(dense.shape[0], seed=1)
    expected = torch.linalg.solve(dense + 0.1 * torch.eye(dense.shape[0]), b)
    solution = RandomizedSVD(rank=3, oversample=8, power_steps=2, seed=0).solve(fisher, b, 0.1)
    assert_close(solution.x, expected)
    assert solution.ok and solution.steps == 4 * 11


def test_leading_eigenvalues_of_a_full_matrix():
    q = torch.linalg.qr(randn(40, 40, seed=0)).Q
    spectrum = 0.5 ** torch.arange(40).double()
    vectors, values = low_rank((q * spectrum) @ q.T, 5, rng(0), like=q)
    assert_close(values, spectrum[:5], rtol=1e-8, atol=0.0)
    assert_close(vectors.T @ vectors, torch.eye(5).double())


def test_no_more_columns_than_parameters():
    vectors, values = low_rank(torch.eye(3).double(), 3, rng(0), like=torch.zeros(1).double())
    assert vectors.shape == (3, 3)
    assert_close(values, torch.ones(3).double())


def test_a_low_rank_is_told_by_the_residual_and_lambda_zero_by_ok():
    spectrum = torch.tensor([4.0, 2.0, 1.0]).double()
    solver = RandomizedSVD(rank=2, oversample=1, power_steps=2, seed=0)
    solution = solver.solve(torch.diag(spectrum), torch.ones(3).double(), 1.0)
    assert_close(solution.x, torch.tensor([1 / 5, 1 / 3, 1.0]).double())  # the third counts as 0
    assert_close(solution.residual, torch.tensor(1 / 3**0.5).double())
    assert not solver.solve(torch.diag(spectrum), torch.ones(3).double(), 0.0).ok
