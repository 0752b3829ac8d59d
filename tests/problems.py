"""Small random problems that the tests share, in float64."""

import torch
from torch import Tensor

from nglab.curvature.damping.constant_damping import ConstantDamping
from nglab.curvature.damping.damping_rule import DampingRule
from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt
from nglab.curvature.kronecker import Kronecker
from nglab.curvature.solvers.cholesky import Cholesky
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.initial import random_parameters
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.ngd import NGD
from nglab.optimizers.optimizer import Task
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.steps.paper import Paper
from nglab.settings.checked import altered

NETWORKS = {
    "square": Network((4, 4, 4, 4)),
    "expanding": Network((3, 5, 7, 5, 3)),
    "bottleneck": Network((6, 4, 2, 4, 6)),
    "unequal ends": Network((5, 3, 4, 2)),
    "one layer": Network((3, 2)),
    "tanh with bias": Network((4, 5, 3, 5, 4), "tanh", bias=True),
    "sigmoid": Network((3, 4, 4, 2), "sigmoid"),
    "relu with bias": Network((4, 6, 6, 3), "relu", bias=True),
    "softplus with bias": Network((3, 4, 2), "softplus", bias=True),
}

CONSTANT = Constant(warm_up=0)


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=rng(seed))


def random_params(network: Network, seed: int = 0) -> Layers:
    """Parameters with random biases too, so that no test passes because they are zero."""
    params = random_parameters(network, 1.0, rng(seed))
    return params.map(
        lambda w: w + 0.3 * torch.randn(w.shape, dtype=w.dtype, generator=rng(seed + 1))
    )


def random_batch(network: Network, examples: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = randn(examples, network.widths[0], seed=seed + 2)
    return x, randn(examples, network.widths[-1], seed=seed + 3)


def task_of(network: Network, input_moment: Tensor | None = None) -> Task:
    """What a method is told where nothing but the network matters."""
    return Task(network, Gaussian(), steps=1, input_moment=input_moment)


def levenberg_marquardt(initial, least=1e-8) -> LevenbergMarquardt:
    """Eq. 21; λ may be 0 here, which is a limit."""
    rule = LevenbergMarquardt(1.0, 0.0, factor=1.5, interval=1)
    return altered(rule, {"initial": initial, "min": least})


def constant_damping(initial) -> ConstantDamping:
    """λ may be 0 here, which is a limit."""
    return altered(ConstantDamping(1.0), {"initial": initial})


def kronecker(
    average=0.0, refresh=1, split="equal", solver=None, sides="both", measure=1
) -> Kronecker:
    """Eq. 20, unless said otherwise."""
    return Kronecker(average, refresh, measure, split, sides, solver or Cholesky())


def natural_gradient(batch_size: int, damping=1e-2, **changes) -> NGD:
    """The paper's method, less what is changed of it; `damping` is λ₀ of Eq. 21, or another rule. α may be any."""
    rule = damping if isinstance(damping, DampingRule) else levenberg_marquardt(damping)
    settings = {
        "lr": 1.0,
        "batch_size": batch_size,
        "schedule": CONSTANT,
        "samples": 1,
        "gradient_average": 0.0,
        "metric": kronecker(),
        "damping": rule,
        "step_rule": Paper(),
    }
    return altered(NGD(**settings | changes | {"lr": 1.0}), {"lr": changes.get("lr", 1.0)})


def replicas(network: Network, count: int) -> tuple[list[Layers], Layers]:
    """`count` single parameter sets, and the same as one stack."""
    singles = [random_params(network, seed=10 * r) for r in range(count)]
    stacked = [
        torch.stack(group, dim=1) for group in zip(*(p.stacks for p in singles), strict=True)
    ]
    return singles, Layers(network, stacked)
