import pytest
import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.solvers.cholesky import WHOLE, _by_triangles_, inverse_


def info_of(a):
    return torch.ones(a.shape[:-2], dtype=torch.int32)


every_way = pytest.mark.parametrize("invert_", [inverse_, _by_triangles_])


@every_way
def test_inverse_reads_the_diagonal_and_above(invert_):
    a = randn(2, 3, 8, 5, seed=0)
    a = a.mT @ a
    inverse, info = a.triu(), info_of(a)
    invert_(inverse, torch.empty_like(a), info)
    assert not info.any()
    assert_close(inverse @ a, torch.eye(5, dtype=torch.float64).expand(2, 3, 5, 5))


@every_way
def test_a_matrix_that_is_not_positive_definite_is_reported(invert_):
    a = torch.stack([torch.eye(3), -torch.eye(3), torch.zeros(3, 3)]).double()
    a = torch.cat([a, torch.full((1, 3, 3), torch.nan).double()])
    info = info_of(a)
    invert_(a, torch.empty_like(a), info)
    assert (info == 0).tolist() == [True, False, False, False]


@pytest.mark.parametrize("n", [WHOLE + 1, 3 * WHOLE])
def test_large_matrices_by_blocks(n):
    u = randn(2, n + 50, n, seed=n)
    a = u.mT @ u / n + 0.1 * torch.eye(n, dtype=torch.float64)
    a[1, -1, -1] = -1.0
    dense = torch.linalg.inv(a[0])
    above = a.triu() + torch.full_like(a, 1e9).tril(-1)
    info = info_of(a)
    inverse_(above, torch.empty_like(a), info)
    assert (info == 0).tolist() == [True, False]
    assert_close(above[0], dense, rtol=1e-9, atol=1e-9)
