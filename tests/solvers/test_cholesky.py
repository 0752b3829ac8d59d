import torch
from problems import randn
from torch.testing import assert_close

from nglab.solvers.cholesky import inverse_


def test_inverse():
    a = randn(2, 3, 8, 5, seed=0)
    a = a.mT @ a
    inverse = a.clone()
    ok = inverse_(inverse, torch.empty_like(a))
    assert ok.all()
    assert_close(inverse @ a, torch.eye(5, dtype=torch.float64).expand(2, 3, 5, 5))


def test_a_matrix_that_is_not_positive_definite_is_reported():
    a = torch.stack([torch.eye(3), -torch.eye(3), torch.zeros(3, 3)]).double()
    assert inverse_(a, torch.empty_like(a)).tolist() == [True, False, False]
