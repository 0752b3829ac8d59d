"""The least that a step can cost: its floating-point operations at the rate of plain matrix products."""

from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from nglab.bench.jax_steps import set_precision
from nglab.bench.processes import Contender, Worker, contest
from nglab.bench.timing import Step
from nglab.networks import products
from nglab.networks.network import Network

SIZES = (100, 200, 400, 800, 1600)


def flops_sgd(network: Network, batch_size: int) -> float:
    """Forward, backward and gradient: 2 M per weight each, but that no error flows back through layer 1."""
    weights, first = _weights(network)
    return 2 * batch_size * (3 * weights - first)


def flops_ngd(network: Network, batch_size: int, samples: int) -> float:
    """Of Eqs. 20 and 21: what SGD does, K more backward passes, the factors ⟨x xᵀ⟩ and ⟨e eᵀ⟩, Cholesky's of each
    (n³/3), two triangular solves with each, which are a product's work, and the loss anew. A symmetric matrix counts
    half of what a dense product takes."""
    m, (weights, first) = batch_size, _weights(network)
    total = flops_sgd(network, m) + 2 * m * samples * (weights - first) + flops_loss(network, m)
    for n, n_in in network.shapes:
        total += m * (n_in**2 + samples * n**2)
        total += (n_in**3 + n**3) / 3 + 2 * n * n_in * (n + n_in)
    return total


def flops_loss(network: Network, batch_size: int) -> float:
    """Forward; where the network is one matrix W_L ⋯ W_1, by that product where it takes less."""
    weights, first = _weights(network)
    forward = 2 * batch_size * weights
    if not network.is_matrix:
        return forward
    n_0, n_last = network.widths[0], network.widths[-1]
    return min(forward, 2 * n_0 * (weights - first) + 2 * batch_size * n_0 * n_last)


def _weights(network: Network) -> tuple[int, int]:
    """The number of weights, and how many of them are the first layer's."""
    sizes = [n * n_in for n, n_in in network.shapes]
    return sum(sizes), sizes[0]


def matmul_rates(processes: Sequence[Worker], dtype: torch.dtype, rounds: int) -> pd.DataFrame:
    """Plain products of n × n by n × n: `setting` n, `contender` who computes, and GFLOP/s of the fastest round.

    Which library is fastest depends on the processor; none of them says what the processor could do but by doing it.
    """
    tables = []
    for n in SIZES:
        contenders = {name: Contender(partial(by, n, dtype)) for name, by in MATMULS.items()}
        by_jax = {"JAX": contenders.pop("JAX")}
        if dtype == torch.float64:
            del contenders["oneDNN"]  # has none
        rows = contest(processes, contenders, by_jax, {}, rounds, f"matmul {n}")
        tables.append(rows.assign(setting=n, gflops=2e-6 * n**3 / rows.ms_least))
    return pd.concat(tables)


ROOF = "arithmetic at the matmul rate"


def with_roof(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, `over_roof` added where a step's `flops` are known: its time over theirs at the best matmul rate.

    The roof is a row of its own, with its ratios to nglab's references.
    """
    if "flops" not in rows:
        return rows
    best = rows.groupby("dtype").gflops.max()
    roof = rows.flops / rows.dtype.map(best) * 1e-6
    ratios = [column for column in rows if column.startswith("over_")]
    ours = rows[(rows.contender == "nglab") & roof.notna()].copy()
    shares = roof[ours.index] / ours.ms
    floors = ours.assign(
        contender=ROOF, blas=pd.NA, ms=roof[ours.index], ms_low=pd.NA, ms_high=pd.NA
    )
    floors[ratios] = ours[ratios].mul(shares, axis=0)
    return pd.concat([rows, floors]).assign(over_roof=lambda r: r.ms / roof[r.index])


def torch_mm(n: int, dtype: torch.dtype) -> Step:
    """What PyTorch's BLAS (MKL, where it was built with it) makes of it."""
    a, b = matrices(n, dtype)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def onednn(n: int, dtype: torch.dtype) -> Step:
    """oneDNN, which PyTorch brings along."""
    return partial(products.onednn, *matrices(n, dtype))


def jax_matmul(n: int, dtype: torch.dtype) -> Step:
    import jax

    set_precision(dtype)
    x, y = (jax.numpy.array(matrix.numpy()) for matrix in matrices(n, dtype))
    product = jax.jit(lambda x, y: x @ y)
    return lambda: jax.block_until_ready(product(x, y))


def matrices(n: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(2, n, n, dtype=dtype, generator=torch.Generator().manual_seed(0))


MATMULS: dict[str, Callable[[int, torch.dtype], Step]] = {
    "torch.mm": torch_mm,
    "oneDNN": onednn,
    "JAX": jax_matmul,
}
