import pytest
import torch
from torch.testing import assert_close

from nglab.bench import solving


@pytest.fixture
def problem():
    """60 rows, and what direct inversion with numpy's solver makes of them."""
    generator = torch.Generator().manual_seed(0)
    rows, g = (torch.randn(k, 6, dtype=torch.float64, generator=generator) for k in (60, 6))
    moment = rows.mT @ rows / 60 + solving.DAMPING * torch.eye(6, dtype=torch.float64)
    return rows, g, torch.linalg.solve(moment, g)


@pytest.mark.parametrize("way", [solving.cholesky, solving.eigenvalues, solving.randomized])
def test_ways_that_use_all_rows_solve_the_same_system(way, problem):
    rows, g, expected = problem
    assert_close(way(rows, g)(), expected)


def test_updates_track_the_decaying_moment(problem):
    rows, g, _ = problem
    moment = solving.DAMPING * torch.eye(6, dtype=torch.float64)
    for block in rows.split(solving.BLOCK):
        moment = 0.99 * moment + 0.01 * block.mT @ block / len(block)
    assert_close(solving.sherman_morrison_updates(rows, g)(), torch.linalg.solve(moment, g))
