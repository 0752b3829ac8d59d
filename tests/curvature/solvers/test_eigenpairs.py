import torch
from problems import randn
from torch.testing import assert_close

from nglab.curvature.solvers.solver import eigenpairs


def test_what_fails_in_single_precision_is_taken_in_double(monkeypatch):
    eigh, asked = torch.linalg.eigh, []

    def failing(a):
        asked.append(a.dtype)
        if a.dtype is torch.float32:
            raise torch.linalg.LinAlgError("no convergence")
        return eigh(a)

    monkeypatch.setattr(torch.linalg, "eigh", failing)
    rows = randn(2, 3, 5, seed=0).float()
    a = rows.mT @ rows
    values, vectors = eigenpairs(a)
    assert asked == [torch.float32, torch.float64]
    assert values.dtype is vectors.dtype is torch.float32
    assert_close((vectors * values.unsqueeze(-2)) @ vectors.mT, a)
