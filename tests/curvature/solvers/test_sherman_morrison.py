import pytest
import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.solvers.second_moment import SecondMoment
from nglab.curvature.solvers.sherman_morrison import ShermanMorrison, start, update
from nglab.errors import InputError


@pytest.mark.parametrize("rows", [1, 3])
def test_decaying_average(rows):
    u = randn(10, rows, 5, seed=0)
    a = 0.5 * torch.eye(5).double()
    inverse = start(5, 0.5, like=u)
    for batch in u:
        inverse = update(inverse, batch, keep=0.9, weight=0.1)
        a = 0.9 * a + 0.1 * batch.T @ batch / rows
        assert_close(inverse, torch.linalg.inv(a))


def test_mean_of_all_rows_and_what_is_left_of_the_damping():
    u = randn(20, 4, seed=0)
    inverse = update(start(4, 1e-3, like=u), u[:1], keep=1.0, weight=1.0)
    for t in range(2, 21):
        inverse = update(inverse, u[t - 1 : t], keep=1 - 1 / t, weight=1 / t)
    expected = u.T @ u / 20 + (1e-3 / 20) * torch.eye(4)  # 1/20 is the product of the keeps
    assert_close(inverse, torch.linalg.inv(expected), rtol=1e-6, atol=1e-8)


def test_a_stack_is_updated_as_its_members():
    u = randn(2, 3, 5, seed=0)
    first = start(5, 0.5, like=u).expand(2, 5, 5)
    together = update(first, u, 0.9, 0.1)
    for r in range(2):
        assert_close(together[r], update(first[r], u[r], 0.9, 0.1))


def test_the_mean_of_all_rows_is_the_running_mean_of_one_step():
    u, b = randn(3, 5, seed=0), randn(5, seed=1)
    solution = ShermanMorrison().solve(SecondMoment(u), b, 0.5)
    assert_close(solution.x, update(start(5, 0.5, like=u), u, keep=1.0, weight=1.0) @ b)


def test_a_matrix_without_rows_is_refused():
    with pytest.raises(InputError, match="SecondMoment"):
        ShermanMorrison().solve(torch.eye(3), torch.ones(3), 1.0)
