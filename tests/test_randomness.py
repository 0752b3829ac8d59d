"""The normal numbers are torch's own."""

import pytest
import torch
from torch.testing import assert_close

from nglab.randomness import CHUNK, normal_


@pytest.mark.parametrize("shape", [(0,), (15,), (16,), (3, 7), (2, 8, 5), (CHUNK,), (3, CHUNK + 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_numbers_are_those_of_torch_and_so_are_the_next(shape, dtype):
    ours, theirs = (torch.Generator().manual_seed(7) for _ in range(2))
    for _ in range(2):
        out = torch.empty(shape, dtype=dtype)
        assert normal_(out, ours) is out
        assert_close(out, torch.empty_like(out).normal_(generator=theirs), rtol=0, atol=1e-14)


def test_memory_that_is_not_contiguous_is_filled_too():
    out = torch.full((40, 30), torch.nan, dtype=torch.float64).mT[:, :20]
    normal_(out, torch.Generator().manual_seed(1))
    assert out.isfinite().all() and out.std() > 0.9
