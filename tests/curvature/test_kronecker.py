import pytest
import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.kronecker import BLOCK, second_moment, second_moment_above


@pytest.mark.parametrize("shape", [(7, 5), (9, BLOCK), (9, 2 * BLOCK + 3), (4, 7, 5)])
def test_second_moment(shape):
    rows = randn(*shape, seed=0)
    dense = torch.einsum("...mi,...mj->...ij", rows, rows) / shape[-2]
    whole = second_moment(rows, torch.full_like(dense, torch.nan))
    assert_close(whole, dense)
    above = torch.full_like(dense, torch.nan)
    second_moment_above(rows, above)
    assert_close(
        above.triu().nan_to_num() if above.dim() == 2 else above,
        dense.triu() if above.dim() == 2 else dense,
    )
