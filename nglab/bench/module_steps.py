"""A step on any `nn.Module`: by torch.optim, by nglab.torch and by the libraries that do what that does.

A maker takes a `ModelCase` and returns the step: a function that goes once through the batches of the case and returns
the parameters after it. Curvature and inverses are made on the first batch and kept for the others.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nglab.bench.models import ModelCase
from nglab.bench.timing import Step

ModuleMaker = Callable[[ModelCase], Step]
SMALL = 1e-4  # a rate at which no contender diverges on white noise
DAMPING = 1e-2
KEPT = {"initial": 100.0, "interval": 1_000_000}
"""λ is never adapted, as the other libraries keep it; so large that no step on white noise blows up."""


def forward_and_backward(case: ModelCase, then: Callable[[], object] = lambda: None) -> Step:
    """The gradient by autograd on each batch, and what is done with it `then`."""
    parameters = list(case.model.parameters())

    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            case.model.zero_grad()
            case.loss(x, y).backward()
            then()
        return parameters

    return step


def by_optim(make: Callable[..., torch.optim.Optimizer], case: ModelCase) -> Step:
    """A step of a `torch.optim` class on the gradient by autograd."""
    return forward_and_backward(case, make(case.model.parameters(), lr=SMALL).step)


def nglab_torch(name: str, case: ModelCase, damping: Mapping[str, Any] | None = None) -> Step:
    """With targets sampled from the model and, unless λ is `KEPT`, the loss evaluated anew; the others do neither."""
    import nglab.torch

    make: Any = getattr(nglab.torch, name)
    optimizer = make(
        case.model, likelihood=case.likelihood, refresh_every=case.steps, damping=damping
    )
    parameters = list(case.model.parameters())

    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            optimizer.step(lambda x=x, y=y: (case.model(x), y))
        return parameters

    return step


def kfac_pytorch(method: str, case: ModelCase) -> Step:
    """KFACPreconditioner and SGD: the empirical Fisher, λ fixed."""
    from kfac.preconditioner import KFACPreconditioner

    kfac = KFACPreconditioner(
        case.model, factor_update_steps=case.steps, inv_update_steps=case.steps,
        damping=DAMPING, lr=SMALL, compute_method=method, inv_dtype=case.x.dtype,
    )  # fmt: skip
    optimizer = torch.optim.SGD(case.model.parameters(), lr=SMALL, momentum=0.9)

    def then() -> None:
        kfac.step()
        optimizer.step()

    return forward_and_backward(case, then)


def singd(case: ModelCase) -> Step:
    """SINGD as it comes, without inverses: the empirical Fisher, λ fixed."""
    from singd.optim.optimizer import SINGD

    return by_optim(partial(SINGD, case.model, damping=DAMPING, T=case.steps), case)


AUTOGRAD = "autograd forward + backward"
MODULE_STEPS: dict[str, ModuleMaker] = {
    AUTOGRAD: forward_and_backward,
    "torch.optim.SGD, momentum": partial(by_optim, partial(torch.optim.SGD, momentum=0.9)),
    "torch.optim.Adam": partial(by_optim, torch.optim.Adam),
    "nglab.torch.NGD": partial(nglab_torch, "NGD"),
    "nglab.torch.NGD, λ kept": partial(nglab_torch, "NGD", damping=KEPT),
    "nglab.torch.KFAC": partial(nglab_torch, "KFAC"),
    "nglab.torch.KFAC, λ kept": partial(nglab_torch, "KFAC", damping=KEPT),
    "kfac-pytorch, inverses": partial(kfac_pytorch, "inverse"),
    "kfac-pytorch, eigenvectors": partial(kfac_pytorch, "eigen"),
    "singd": singd,
}
MODULE_DISTRIBUTIONS = ["kfac-pytorch", "singd"]
