import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.solvers.pseudo_inverse import PseudoInverse, pseudo_inverse


def low_rank_matrix(rank):
    u = randn(2, 6, rank, seed=0)
    return u @ u.mT


def test_equals_torchs_pseudo_inverse():
    for rank in (2, 6):
        a = low_rank_matrix(rank)
        assert_close(pseudo_inverse(a), torch.linalg.pinv(a, hermitian=True))


def test_damping_makes_it_the_inverse_of_the_damped_matrix():
    a, damping = low_rank_matrix(2), torch.tensor([0.1, 3.0]).double()
    eye = torch.eye(6).double()
    assert_close(pseudo_inverse(a, damping), torch.linalg.inv(a + damping[:, None, None] * eye))
    assert_close(pseudo_inverse(a, 0.5), torch.linalg.inv(a + 0.5 * eye))


def test_eigenvalues_up_to_the_cutoff_count_as_zero():
    a = torch.diag(torch.tensor([1.0, 1e-3, -1e-2, 0.0])).double()
    assert_close(pseudo_inverse(a).diagonal(), torch.tensor([1.0, 1e3, -1e2, 0.0]).double())
    assert_close(
        pseudo_inverse(a, cutoff=5e-3).diagonal(), torch.tensor([1.0, 0, -1e2, 0]).double()
    )
    assert pseudo_inverse(torch.zeros(3, 3)).count_nonzero() == 0


def test_the_shortest_of_many_solutions_without_damping():
    a, b = low_rank_matrix(2), randn(2, 6, seed=1)
    solution = PseudoInverse(cutoff=None).solve(a, b, 0.0)
    assert_close(solution.x, torch.linalg.lstsq(a, b[..., None], driver="gelsd").solution[..., 0])
    assert solution.ok.all()
