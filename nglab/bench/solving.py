"""Ways to refresh (Λ + λI)⁻¹ of one factor Λ `[n, n]` and apply it.

It inverts directly, and expects Sherman–Morrison updates or a randomized SVD to win on large layers (§7).
"batch": M new rows, then a gradient G `[n, n]`, as in an NGD step. "one row": a single row, then a vector, online.
"""

import logging
from collections.abc import Callable
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from nglab.bench.timing import Step, here, measure, table
from nglab.curvature.factors import second_moment_above
from nglab.curvature.solvers import sherman_morrison
from nglab.curvature.solvers.cholesky import Cholesky
from nglab.curvature.solvers.pseudo_inverse import PseudoInverse
from nglab.curvature.solvers.randomized_svd import RandomizedSVD
from nglab.curvature.solvers.second_moment import SecondMoment

log = logging.getLogger(__name__)

WIDTHS = (20, 50, 100, 200, 400, 800, 1600)
EXAMPLES, BLOCK, RANK, DAMPING = 1000, 20, 20, 1e-2
DIRECT = "Cholesky"


def solvers(dtype: torch.dtype, rounds: int) -> pd.DataFrame:
    """Both regimes at every width: `panel` is the regime, `setting` n, the ratio is to direct inversion."""
    rows = []
    for n in WIDTHS:
        generator = torch.Generator().manual_seed(0)
        u = torch.randn(EXAMPLES, n, dtype=dtype, generator=generator)
        g = torch.randn(n, n, dtype=dtype, generator=generator)
        for panel, (ways, data) in {
            "batch": (BATCH, (u, g)),
            "one row": (ONE_ROW, (u[:1], g[:, :1].clone())),
        }.items():
            makers = {name: here(partial(way, *data)) for name, way in ways.items()}
            times = measure(makers, rounds, f"{panel}, n = {n}")
            rows.append(table(times, {"over_direct": DIRECT}).assign(panel=panel, setting=n))
        log.info("solvers: n = %d done", n)
    return pd.concat(rows)


def cholesky(rows: Tensor, g: Tensor) -> Step:
    """Λ over the rows, its Cholesky factor, two triangular solves: M n² + 7/6 n³."""
    moment, d = rows.new_empty(rows.shape[1], rows.shape[1]), torch.empty_like(g)
    damping, info, solver = rows.new_tensor(DAMPING), torch.empty((), dtype=torch.int32), Cholesky()

    def step() -> Tensor:
        second_moment_above(rows, moment)
        solver.invert_(moment, damping, info)
        solver.from_left(moment, g, out=d)
        return d

    return step


def eigenvalues(rows: Tensor, g: Tensor) -> Step:
    """Λ over the rows, its eigenvalues and eigenvectors, three products."""
    solver = PseudoInverse(cutoff=None)
    return lambda: solver.solve(SecondMoment(rows), g, DAMPING).x


def randomized(rows: Tensor, g: Tensor) -> Step:
    """The leading `RANK` eigenpairs by products with Λ = UᵀU/M, which is never formed; λI for the rest."""
    solver = RandomizedSVD(min(RANK, rows.shape[1]), oversample=8, power_steps=2, seed=0)
    return lambda: solver.solve(SecondMoment(rows), g, DAMPING).x


def sherman_morrison_updates(rows: Tensor, g: Tensor) -> Step:
    """Sherman–Morrison–Woodbury with `BLOCK` rows at a time, a product: 4 M n² + 2 n³."""
    inverse = sherman_morrison.start(rows.shape[1], DAMPING, rows)

    def step() -> Tensor:
        nonlocal inverse
        for block in rows.split(BLOCK):
            inverse = sherman_morrison.update(inverse, block, 0.99, 0.01)
        return inverse @ g

    return step


Way = Callable[[Tensor, Tensor], Step]
BATCH: dict[str, Way] = {
    DIRECT: cholesky,
    "eigenvalues": eigenvalues,
    f"randomized SVD, rank {RANK}": randomized,
    f"Sherman–Morrison, {BLOCK} rows at a time": sherman_morrison_updates,
}
ONE_ROW: dict[str, Way] = {DIRECT: cholesky, "Sherman–Morrison": sherman_morrison_updates}
