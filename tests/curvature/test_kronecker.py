import pytest
import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.kronecker import BLOCK, second_moment, second_moment_above

LARGE = [(30, 300), (2, 30, 300)]


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("columns", [False, True])
def test_second_moment_by_onednn(shape, columns, monkeypatch):
    monkeypatch.setattr("nglab.networks.products.LEAST_WORK", 0)
    rows = randn(*shape, seed=0).float()
    rows = rows.mT.contiguous().mT if columns else rows
    dense = torch.einsum("...mi,...mj->...ij", rows, rows) / shape[-2]
    above = torch.full_like(dense, torch.nan)
    second_moment_above(rows, above)
    assert_close(above.triu().nan_to_num(), dense.triu())


@pytest.mark.parametrize(
    "shape", [(7, 5), (9, BLOCK), (9, 2 * BLOCK + 3), (4, 7, 5), (3, 9, 2 * BLOCK + 3)]
)
def test_second_moment(shape):
    rows = randn(*shape, seed=0)
    dense = torch.einsum("...mi,...mj->...ij", rows, rows) / shape[-2]
    whole = second_moment(rows, torch.full_like(dense, torch.nan))
    assert_close(whole, dense)
    above = torch.full_like(dense, torch.nan)
    second_moment_above(rows, above)
    assert_close(above.triu().nan_to_num(), dense.triu())
