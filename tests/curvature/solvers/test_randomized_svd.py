import torch
from curvature.cases import problem
from problems import randn, rng
from torch.testing import assert_close

from nglab.curvature.fisher import Fisher
from nglab.curvature.solvers.randomized_svd import low_rank, solve_low_rank


def test_an_operator_of_low_rank_is_found_whole():
    network, params, x, _, likelihood = problem("tanh with bias")
    fisher = Fisher(network, params, x[:3], likelihood)  # rank 3: one degree of freedom an example
    dense = fisher.to_dense()
    vectors, values = low_rank(fisher, 3, rng(0), like=x)
    assert_close((vectors * values) @ vectors.T, dense)
    assert_close(values, torch.linalg.eigvalsh(dense).flip(0)[:3])
    b = randn(dense.shape[0], seed=1)
    expected = torch.linalg.solve(dense + 0.1 * torch.eye(dense.shape[0]), b)
    assert_close(solve_low_rank(vectors, values, b, damping=0.1), expected)


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
