"""How the cost of a step grows with width, depth, batch and samples K."""

import logging
from functools import partial

import pandas as pd
import torch

from nglab.bench.cases import make_case
from nglab.bench.nglab_steps import nglab_ngd
from nglab.bench.steps import explicit_gradient
from nglab.bench.timing import here, measure, table
from nglab.networks.network import Network

log = logging.getLogger(__name__)

BASE = {"width": 100, "depth": 4, "batch": 1000, "samples": 1}
SWEEPS = {
    "width": (20, 50, 100, 200, 400, 800, 1600),
    "depth": (2, 4, 8, 16, 32, 64),
    "batch": (100, 300, 1000, 3000, 10000),
    "samples": (1, 2, 4, 8, 16),
}
GRADIENT = "explicit forward + backward"


def scaling(dtype: torch.dtype, rounds: int) -> pd.DataFrame:
    """One quantity varied at a time from `BASE`: `panel` is its name, `setting` its value."""
    rows = []
    for name, values in SWEEPS.items():
        for value in values:
            row = one_point({**BASE, name: value}, dtype, rounds, f"{name} {value}")
            rows.append(row.assign(panel=name, setting=value))
            log.info("%s %d: NGD %.3g ms, %.2f × the gradient alone",
                     name, value, *row.set_index("contender").loc["nglab", ["ms", "over_explicit"]])  # fmt: skip
    return pd.concat(rows)


def one_point(point: dict[str, int], dtype: torch.dtype, rounds: int, title: str) -> pd.DataFrame:
    network = Network((point["width"],) * (point["depth"] + 1))
    case = make_case(network, point["batch"], 1, 1.0, dtype)
    makers = {
        GRADIENT: here(partial(explicit_gradient, case)),
        "nglab": here(partial(nglab_ngd, case, point["samples"])),
    }
    return table(measure(makers, rounds, title), {"over_explicit": GRADIENT})
