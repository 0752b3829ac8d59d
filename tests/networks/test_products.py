import pytest
import torch
from torch import Tensor

from nglab.networks import products
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.networks.passes import forward, product


def layouts(rows: int, columns: int, dtype: torch.dtype) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=dtype, generator=generator)

    return {
        "rows": noise(rows, columns),
        "columns": noise(columns, rows).mT,
        "part of rows": noise(rows + 2, columns + 3)[1:-1, 2:-1],
        "part of columns": noise(columns + 3, rows + 2).mT[1:-1, 2:-1],
    }


NAMES = list(layouts(1, 1, torch.float32))


@pytest.mark.skipif(products.ONEDNN is None, reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize("left", NAMES)
@pytest.mark.parametrize("right", NAMES)
def test_onednn_multiplies_every_layout(monkeypatch, left, right):
    monkeypatch.setattr(products, "LEAST_WORK", 0)
    a, b = layouts(37, 23, torch.float32)[left], layouts(23, 41, torch.float32)[right]
    assert products.by_onednn(a, b)
    exact = a.double() @ b.double()
    wide = torch.full((37, 60), torch.nan)
    out = wide[:, 5:46]
    assert products.mm(a, b, out=out) is out
    torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-5)
    assert wide[:, :5].isnan().all() and wide[:, 46:].isnan().all()

    products.addmm(out.clone(), a, b, beta=0.5, alpha=-2, out=out)
    torch.testing.assert_close(out.double(), -1.5 * exact, rtol=1e-5, atol=1e-5)
    out.fill_(torch.nan)
    products.addmm(out, a, b, beta=0, alpha=3, out=out)
    torch.testing.assert_close(out.double(), 3 * exact, rtol=1e-5, atol=3e-5)


@pytest.mark.skipif(products.ONEDNN is None, reason="this PyTorch has no oneDNN")
def test_batches_are_multiplied_pair_by_pair(monkeypatch):
    a, b = torch.randn(3, 37, 23), torch.randn(3, 41, 23).mT
    exact = a.double() @ b.double()
    for least in (10**9, 0):
        monkeypatch.setattr(products, "LEAST_WORK", least)
        out = torch.full((3, 37, 41), torch.nan)
        assert products.bmm(a, b, out=out) is out
        torch.testing.assert_close(out.double(), exact, rtol=1e-5, atol=1e-5)
        products.baddbmm(out.clone(), a, b, beta=0.5, alpha=-2, out=out)
        torch.testing.assert_close(out.double(), -1.5 * exact, rtol=1e-5, atol=2e-5)


def test_only_large_float32_products_go_to_onednn(monkeypatch):
    monkeypatch.setattr(products, "ONEDNN", object())
    monkeypatch.setattr(products, "LEAST_WORK", 4_000_000)
    n = round(products.LEAST_WORK ** (1 / 3)) + 1
    large = torch.zeros(n, n)
    assert products.by_onednn(large, large)
    assert not products.by_onednn(large.double(), large.double())
    assert not products.by_onednn(large[:, 9:], large[9:])
    monkeypatch.setattr(products, "ONEDNN", None)
    assert not products.by_onednn(large, large)


def test_large_layers_are_multiplied_by_onednn_and_equal_float64(monkeypatch):
    monkeypatch.setattr(products, "LEAST_WORK", 4_000_000)
    network = Network((300, 200, 7, 250), "tanh", bias=True)
    params = random_parameters(network, 1.0, torch.Generator().manual_seed(1))
    x = torch.randn(100, 300, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    single = params.map(lambda w: w.float())
    assert product(single, len(x)) is products.mm
    assert product(single, 20) is torch.mm
    exact = forward(network, params, x).output
    torch.testing.assert_close(
        forward(network, single, x.float()).output.double(), exact, rtol=1e-5, atol=1e-5
    )
