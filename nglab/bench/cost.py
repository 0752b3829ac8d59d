"""The least that a step can cost: its floating-point operations at the rate of plain matrix products."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from nglab.bench.timing import Step, measure, table
from nglab.networks import products
from nglab.networks.network import Network

SIZES = (100, 200, 400, 800, 1600)


def flops_sgd(network: Network, batch_size: int) -> float:
    """Forward, backward and gradient: 2 M per weight each, but that no error flows back through layer 1."""
    weights, first = _weights(network)
    return 2 * batch_size * (3 * weights - first)


def flops_ngd(network: Network, batch_size: int, samples: int) -> float:
    """Of Eqs. 20 and 21 with dense products: what SGD does, K more backward passes, the factors ⟨x xᵀ⟩ and ⟨e eᵀ⟩
    (2 M n² each, K times the latter), their Cholesky factors (n³/3), two triangular solves with each, which are a
    product's work (2 n² columns), and another forward pass."""
    m, (weights, first) = batch_size, _weights(network)
    passes = flops_sgd(network, m) + 2 * m * (samples * (weights - first) + weights)
    moments = 2 * m * sum(n_in**2 + samples * n**2 for n, n_in in network.shapes)
    return passes + moments + flops_of_triangles(network)


def flops_of_triangles(network: Network) -> float:
    """What of an NGD step LAPACK does with triangular matrices."""
    return sum((n**3 + n_in**3) / 3 + 2 * n * n_in * (n + n_in) for n, n_in in network.shapes)


def _weights(network: Network) -> tuple[int, int]:
    """The number of weights, and how many of them are the first layer's."""
    sizes = [n * n_in for n, n_in in network.shapes]
    return sum(sizes), sizes[0]


def matmul_rates(dtype: torch.dtype, rounds: int) -> pd.DataFrame:
    """Plain products of n × n by n × n: `setting` n, `contender` who computes, and GFLOP/s of the fastest round.

    Which library is fastest depends on the processor; none of them says what the processor could do but by doing it.
    """
    tables = []
    for n in SIZES:
        a, b = torch.rand(2, n, n, dtype=dtype)
        times = measure({name: partial(by, a, b) for name, by in MATMULS.items()}, rounds, "matmul")
        fastest = times.seconds.min()
        rows = table(times, {}).assign(setting=n)
        tables.append(rows.assign(gflops=rows.contender.map(2e-9 * n**3 / fastest)))
    return pd.concat(tables)


def torch_mm(a: Tensor, b: Tensor) -> Step:
    """What PyTorch's BLAS (MKL, where it was built with it) makes of it."""
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def onednn(a: Tensor, b: Tensor) -> Step:
    """oneDNN, which PyTorch brings along."""
    return partial(products.onednn, a, b)


def jax_matmul(a: Tensor, b: Tensor) -> Step:
    import jax

    jax.config.update("jax_enable_x64", a.dtype == torch.float64)
    product, x, y = jax.jit(lambda x, y: x @ y), *map(jax.numpy.array, (a.numpy(), b.numpy()))
    return lambda: jax.block_until_ready(product(x, y))


MATMULS: dict[str, Callable[[Tensor, Tensor], Step]] = {
    "torch.mm": torch_mm,
    "oneDNN": onednn,
    "JAX": jax_matmul,
}
