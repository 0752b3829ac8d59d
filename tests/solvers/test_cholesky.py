import torch
from problems import randn
from torch.testing import assert_close

from nglab.solvers.cholesky import damped_inverse_


def test_inverse_of_the_damped_matrix():
    a = randn(2, 3, 8, 5, seed=0)
    a = a.mT @ a
    damping = torch.tensor([0.1, 1.0, 10.0], dtype=torch.float64)
    inverse = a.clone()
    ok = damped_inverse_(inverse, damping, torch.empty_like(a))
    dense = a + damping[:, None, None] * torch.eye(5, dtype=torch.float64)
    assert ok.all()
    assert_close(inverse @ dense, torch.eye(5, dtype=torch.float64).expand(2, 3, 5, 5))


def test_a_matrix_that_is_not_positive_definite_is_reported():
    a = torch.stack([torch.eye(3), -torch.eye(3)]).double()
    ok = damped_inverse_(a, torch.zeros(1, dtype=torch.float64), torch.empty_like(a))
    assert ok.tolist() == [True, False]
