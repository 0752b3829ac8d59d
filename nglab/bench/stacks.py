"""SGD runs trained as one: a stack of nglab's, beside one of them alone."""

from dataclasses import replace

import torch

from nglab.bench.cases import Case
from nglab.bench.nglab_steps import method, step_of
from nglab.bench.timing import Step
from nglab.networks.layers import Layers


def stacked_sgd(runs: int, case: Case) -> Step:
    """The runs have parameters, batches and rates of their own, as in a sweep."""
    leading = (len(case.x), runs, case.batch_size, -1)
    x, y = (batches[:, None].expand(leading).contiguous() for batches in (case.x, case.y))
    weights = [stack[:, None].repeat(1, runs, 1, 1) for stack in case.params.stacks]
    rates = case.lr * torch.linspace(0.5, 1.5, runs, dtype=torch.float64)
    sgd = replace(method("sgd", f"batch_size={case.batch_size}"), lr=rates)  # type: ignore[arg-type]
    stacked = replace(case, x=x, y=y)
    return step_of(sgd, Layers(case.network, weights), stacked, runs)
