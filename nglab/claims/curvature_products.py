"""Martens (2014) §3 and §8: products with curvature matrices by passes through the network, and their cost."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from nglab.claims.claim import Check, Result, claim
from nglab.claims.fishers import ACTIVATIONS, ROUNDING, empirical_fisher, fisher, ggn, hessian
from nglab.claims.small_problems import LIKELIHOODS, STUDENT, randn, random_problem, relative
from nglab.likelihoods.categorical import Categorical
from nglab.likelihoods.gaussian import Gaussian
from nglab.likelihoods.likelihood import Likelihood, output_fisher, output_hessian
from nglab.networks.passes import gradient


@claim("matvec", "M §3, §8")
def matvec() -> Result:
    """A linearised forward pass, F_R or H_L, and a backward pass give the products with F and G; H likewise.

    In matrix products of a layer's size a gradient takes 3, and F and G take 4, H 6, the empirical Fisher 2, less
    what the first layer saves. No tensor that arises is larger than θ or the activations of a layer.
    """
    apart = {"F": 0.0, "G": 0.0, "H": 0.0}
    cases: list[tuple[Likelihood, str]] = [(Categorical(), a) for a in ACTIVATIONS]
    cases += [(likelihood, "tanh") for likelihood in (*LIKELIHOODS.values(), STUDENT)]
    for likelihood, activation in cases:
        p = random_problem(likelihood, activation=activation)
        j, z = p.jacobian(), p.output
        dense = {
            "F": torch.einsum("mip,mij,mjq->pq", j, output_fisher(likelihood, z), j) / len(j),
            "G": torch.einsum("mip,mij,mjq->pq", j, output_hessian(likelihood, z, p.y), j) / len(j),
            "H": torch.func.hessian(p.h)(p.theta),
        }
        v = randn(len(p.theta), 3, seed=5)
        for name, c in (("F", fisher(p)), ("G", ggn(p)), ("H", hessian(p))):
            apart[name] = max(apart[name], relative(c @ v, dense[name] @ v))
    checks = [Check(f"‖{n}v − dense‖ / ‖dense‖", v, most=ROUNDING) for n, v in apart.items()]
    return Result(checks + _costs())


def _costs() -> list[Check]:
    """FLOPs in forward passes, and the largest tensor, on a network of 16 770 parameters.

    The empirical Fisher's sums over the outputs of a layer of 65 columns add 2/65 of a forward pass.
    """
    likelihood = Gaussian()
    p = random_problem(likelihood, hidden=(64, 64, 64, 64), inputs=64, examples=32)
    v, forward_flops = randn(len(p.theta), seed=1), 2 * len(p.x) * len(p.theta)
    error = likelihood.error(p.output, p.y)
    with FlopCounterMode(display=False) as counted:
        gradient(p.network, p.params, p.x, error)
    checks = [Check("FLOPs of a gradient in forward passes",
                    counted.get_total_flops() / forward_flops, 2.0, 3.0)]  # fmt: skip
    for c, most in (
        (fisher(p), 4.0),
        (ggn(p), 4.0),
        (hessian(p), 6.0),
        (empirical_fisher(p), 2.05),
    ):
        with FlopCounterMode(display=False) as counted, _Largest() as largest:
            c @ v
        name, cost = type(c).__name__, counted.get_total_flops() / forward_flops
        checks.append(Check(f"FLOPs of a product in forward passes, {name}", cost, 1.0, most))
        checks.append(Check(f"largest tensor over P, {name}", largest.size / len(v), most=1.0))
    return checks


class _Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    size = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor):
                self.size = max(self.size, tensor.numel())
        return result
