"""Who trains which parameters of a model."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from nglab.errors import InputError
from nglab.torch.module_layers import ModuleLayer

Others = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def parameters_in(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def optimizer_of_others(
    model: nn.Module,
    layers: Sequence[ModuleLayer],
    chosen: Sequence[nn.Parameter],
    others: Others | None,
) -> torch.optim.Optimizer | None:
    """What trains the `chosen` parameters that are in no layer; InputError where it is nothing."""
    of_layers = {id(p) for layer in layers for p in layer.parameters}
    left = [p for p in chosen if id(p) not in of_layers and p.requires_grad]
    if not left:
        return None
    if others is None:
        names = {id(p): name for name, p in model.named_parameters()}
        said = ", ".join(names.get(id(p), "a parameter of another model") for p in left[:5])
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        raise InputError(
            f"others=None: must say what trains {said}{more}, which are no weights of a Linear or a"
            " Conv2d, such as others=lambda p: torch.optim.Adam(p, lr=1e-3)"
        )
    return others(left)
