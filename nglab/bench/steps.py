"""A step as a user of PyTorch would write it: with autograd, or by hand.

A maker takes a `Case` and returns the step: a function that goes once through the batches of the case and returns the
parameters after it, W_1, (b_1,) W_2, …. The batches lie ready; gathering them is nobody's cost.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nglab.bench.cases import Case, layers_of, plain_parameters, sequential
from nglab.bench.timing import Step
from nglab.networks.network import Network

Maker = Callable[[Case], Step]


def half_squared_error(z: Tensor, y: Tensor) -> Tensor:
    """h = ½ ⟨‖y − z‖²⟩."""
    return 0.5 * (z - y).square().sum(-1).mean()


def autograd_sgd(case: Case) -> Step:
    """`nn.Sequential`, `backward()` and `torch.optim.SGD`."""
    model = sequential(case)
    optimizer = torch.optim.SGD(model.parameters(), lr=case.lr)

    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            optimizer.zero_grad()
            half_squared_error(model(x), y).backward()
            optimizer.step()
        return list(model.parameters())

    return step


def autograd_gradient(case: Case) -> Step:
    """Forward and backward alone, by autograd."""
    model = sequential(case)

    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            model.zero_grad()
            half_squared_error(model(x), y).backward()
        return list(model.parameters())

    return step


def written_out(
    network: Network, parameters: Sequence[Tensor], x: Tensor, y: Tensor
) -> list[Tensor]:
    """∂h/∂W_1, (∂h/∂b_1,) ∂h/∂W_2, …: forward and backward in plain calls that allocate their results."""
    layers, phi, inputs = layers_of(network, parameters), network.phi, [x]
    for i, (w, b) in enumerate(layers):
        z = inputs[-1] @ w.T if b is None else torch.addmm(b, inputs[-1], w.T)
        inputs.append(z if network.linear or i == network.depth - 1 else phi.apply_(z))
    e = (inputs.pop() - y) / len(x)
    gradients: list[Tensor] = []
    for i in reversed(range(network.depth)):
        w, b = layers[i]
        gradients = [e.T @ inputs[i], *([] if b is None else [e.sum(0)]), *gradients]
        if i:
            e = e @ w
            e = e if network.linear else phi.chain_(e, inputs[i])
    return gradients


def explicit_gradient(case: Case) -> Step:
    parameters = plain_parameters(case)

    @torch.inference_mode()
    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            written_out(case.network, parameters, x, y)
        return parameters

    return step


def explicit_sgd(case: Case) -> Step:
    parameters = plain_parameters(case)

    @torch.inference_mode()
    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            gradients = written_out(case.network, parameters, x, y)
            for w, g in zip(parameters, gradients, strict=True):
                w.sub_(g, alpha=case.lr)
        return parameters

    return step


def buffered_sgd(case: Case) -> Step:
    """The same with every result written into a kept buffer (`out=`), α/M multiplied into the output error."""
    network, m = case.network, case.batch_size
    parameters = plain_parameters(case)
    layers, phi, last = layers_of(network, parameters), network.phi, network.depth - 1
    outputs = [case.x.new_empty(m, n) for n in network.widths[1:]]
    errors = [case.x.new_empty(m, n) for n in network.widths[1:]]
    ones, transposed, errors_t = (
        case.x.new_ones(m),
        [w.T for w, _ in layers],
        [e.T for e in errors],
    )

    @torch.inference_mode()
    def step() -> Sequence[Tensor]:
        for x, y in zip(case.x, case.y, strict=True):
            inputs = [x, *outputs]
            for i, (_, b) in enumerate(layers):
                if b is None:
                    torch.mm(inputs[i], transposed[i], out=outputs[i])
                else:
                    torch.addmm(b, inputs[i], transposed[i], out=outputs[i])
                if i < last and not network.linear:
                    phi.apply_(outputs[i])
            torch.sub(y, outputs[-1], out=errors[-1]).mul_(case.lr / m)
            for i in range(last, 0, -1):
                torch.mm(errors[i], layers[i][0], out=errors[i - 1])
                if not network.linear:
                    phi.chain_(errors[i - 1], outputs[i - 1])
            for i, (w, b) in enumerate(layers):
                w.addmm_(errors_t[i], inputs[i])
                if b is not None:
                    b.addmv_(errors_t[i], ones)
        return parameters

    return step


SGD_STEPS: dict[str, Maker] = {
    "autograd, torch.optim.SGD": autograd_sgd,
    "explicit": explicit_sgd,
    "explicit, out= buffers": buffered_sgd,
}
GRADIENTS: dict[str, Maker] = {
    "autograd forward + backward": autograd_gradient,
    "explicit forward + backward": explicit_gradient,
}
