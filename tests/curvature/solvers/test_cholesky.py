import pytest
import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.solvers.cholesky import Cholesky, factor_, inverse_of_factor_
from nglab.curvature.solvers.solver import Solver


def info_of(a):
    return torch.ones(a.shape[:-2], dtype=torch.int32)


def test_the_factor_reads_the_diagonal_and_above():
    a = randn(2, 3, 8, 5, seed=0)
    a = a.mT @ a
    r, info = a + torch.full_like(a, torch.nan).tril(-1), info_of(a)
    factor_(r, info)
    assert not info.any()
    assert_close(r.mT @ r, a)
    assert torch.equal(r, r.triu())


def test_a_matrix_that_is_not_positive_definite_is_reported():
    a = torch.stack([torch.eye(3), -torch.eye(3), torch.zeros(3, 3)]).double()
    a = torch.cat([a, torch.full((1, 3, 3), torch.nan).double()])
    info = info_of(a)
    factor_(a, info)
    assert (info == 0).tolist() == [True, False, False, False]


def test_nothing_raises_where_there_is_no_factor():
    a, info = torch.zeros(2, 3, 3), info_of(torch.zeros(2, 3, 3))
    Cholesky().invert_(a, torch.zeros(2), info)
    out = torch.empty(2, 3, 4)
    Cholesky().from_left(a, torch.ones(2, 3, 4), out)
    Cholesky().from_right(torch.ones(2, 4, 3), a, out.mT)
    assert info.all()


@pytest.mark.parametrize("n", [5, 300])
def test_the_inverse_that_a_gpu_has(n):
    u = randn(2, n + 50, n, seed=n)
    a = u.mT @ u / n + 0.1 * torch.eye(n, dtype=torch.float64)
    r, v = a.clone(), randn(2, n, 3, seed=1)
    factor_(r, info_of(a))
    by_factor, by_inverse = torch.empty_like(v), torch.empty_like(v)
    Cholesky().from_left(r, v, by_factor)
    inverse_of_factor_(r)
    Solver.from_left(Cholesky(), r, v, by_inverse)
    assert_close(r, torch.linalg.inv(a), rtol=1e-9, atol=1e-9)
    assert_close(by_factor, by_inverse, rtol=1e-9, atol=1e-9)
