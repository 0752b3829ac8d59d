"""Bernacchia et al. (2018) §7: how the factors are inverted."""

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nglab.claims.claim import Check, Result, claim
from nglab.claims.small_problems import randn, relative, rng, slope
from nglab.curvature.solvers import sherman_morrison
from nglab.curvature.solvers.pseudo_inverse import pseudo_inverse
from nglab.curvature.solvers.randomized_svd import low_rank
from nglab.curvature.solvers.second_moment import SecondMoment


@claim("inverse-methods", "B §7")
def inverse_methods() -> Result:
    """Sherman–Morrison equals direct inversion; randomized SVD converges with its rank; their costs grow as stated.

    An update of one inverse by k rows costs O(k n²), a direct inversion O(n³) (operations of the matrix products are
    counted). The best rank-k approximation is off by the (k + 1)-th eigenvalue; randomized SVD with two power steps
    stays within a factor 2 of that (Halko et al. 2011 §10.4), and is exact at full rank.
    """
    n, damping = 30, 0.1
    rows = randn(40, n, seed=1) @ randn(n, n, seed=2) / n**0.5
    inverse = sherman_morrison.start(n, damping, rows)
    for t, row in enumerate(rows, 1):
        inverse = sherman_morrison.update(inverse, row[None], 1 - 1 / t if t > 1 else 1.0, 1 / t)
    keep = torch.tensor([1 - 1 / t for t in range(2, 41)], dtype=rows.dtype).prod()
    seen = running_moment(rows)
    direct = torch.linalg.inv(seen + damping * keep * torch.eye(n, dtype=rows.dtype))
    moment = SecondMoment(rows).to_dense()
    spectrum = torch.linalg.eigvalsh(moment).flip(0)
    checks = [
        Check(
            "‖Sherman–Morrison − direct‖ / ‖direct‖, 40 rows", relative(inverse, direct), most=1e-8
        )
    ]
    for rank in (2, 8, 20):
        vectors, values = low_rank(moment, rank, rng(3), moment)
        off = torch.linalg.matrix_norm(moment - vectors * values @ vectors.mT, 2) / spectrum[rank]
        checks.append(Check(f"randomized SVD, error / best, rank {rank}", float(off), 1 - 1e-8, 2))
    vectors, values = low_rank(moment, n, rng(3), moment)
    checks.append(
        Check(
            "randomized SVD, relative error at full rank",
            relative(vectors * values @ vectors.mT, moment),
            most=1e-8,
        )
    )
    widths = torch.tensor([64.0, 128.0, 256.0], dtype=torch.float64)
    update = torch.tensor(
        [operations(lambda a: sherman_morrison.update(a, a[:4], 0.9, 0.1), int(w)) for w in widths]
    )
    invert = torch.tensor([operations(pseudo_inverse, int(w)) for w in widths])
    checks.append(
        Check(
            "growth of the cost of an update with n, exponent",
            slope(widths, update.double()),
            1.9,
            2.1,
        )
    )
    checks.append(
        Check(
            "growth of the cost of inverting with n, exponent",
            slope(widths, invert.double()),
            2.9,
            3.1,
        )
    )
    return Result(checks)


def running_moment(rows: Tensor) -> Tensor:
    """⟨u uᵀ⟩ as the updates above weigh the rows, by its recursion."""
    moment = torch.zeros(rows.shape[1], rows.shape[1], dtype=rows.dtype)
    for t, row in enumerate(rows, 1):
        moment = (1 - 1 / t if t > 1 else 1.0) * moment + torch.outer(row, row) / t
    return moment


def operations(method, n: int) -> int:  # type: ignore[no-untyped-def]
    """Floating-point operations in the matrix products of `method` on an n × n matrix."""
    matrix = torch.eye(n, dtype=torch.float64)
    with FlopCounterMode(display=False) as counter:
        method(matrix)
    return counter.get_total_flops()
