"""A step as nglab takes it, and as a user would write it: with autograd, by hand, in JAX.

A maker takes a `Case` and returns the step: a function that goes once through the batches of the case and returns the
parameters after it, W_1, (b_1,) W_2, … (nglab: its `Layers`). The batches lie ready; gathering them is nobody's cost.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from nglab.bench.cases import Case, layers_of, plain_parameters, sequential
from nglab.bench.timing import Step
from nglab.curvature.damping.levenberg_marquardt import LevenbergMarquardt
from nglab.curvature.kronecker import Kronecker
from nglab.curvature.solvers.cholesky import Cholesky
from nglab.likelihoods.gaussian import Gaussian
from nglab.networks.network import Network
from nglab.optimizers.ngd import NGD
from nglab.optimizers.optimizer import Optimizer, Task
from nglab.optimizers.schedules.constant import Constant
from nglab.optimizers.sgd import SGD
from nglab.optimizers.steps.paper import Paper
from nglab.randomness import stream

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


def jax_scan_sgd(case: Case) -> Step:
    """`jax.jit` of a `lax.scan` over the batches; its parameters as `jax_parameters` has them."""
    import jax

    jax.config.update("jax_enable_x64", case.x.dtype == torch.float64)

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        return 0.5 * ((jax_forward(case, parameters, x) - y) ** 2).sum(-1).mean()

    def one(parameters: Any, batch: Any) -> Any:
        gradients = jax.grad(loss)(parameters, *batch)
        return jax.tree.map(lambda w, g: w - case.lr * g, parameters, gradients), None

    run = jax.jit(lambda parameters, x, y: jax.lax.scan(one, parameters, (x, y))[0])
    parameters = jax_parameters(case)
    x, y = jax.numpy.array(case.x.numpy()), jax.numpy.array(case.y.numpy())

    def step() -> Any:
        nonlocal parameters
        parameters = jax.block_until_ready(run(parameters, x, y))
        return parameters

    return step


def jax_parameters(case: Case) -> Any:
    """(W_iᵀ, b_i or None) for each layer: JAX users store W_i as [n_{i-1}, n_i]."""
    import jax

    return [
        (jax.numpy.array(w.T.numpy()), None if b is None else jax.numpy.array(b.numpy()))
        for w, b in layers_of(case.network, plain_parameters(case))
    ]


def jax_forward(case: Case, parameters: Any, x: Any) -> Any:
    """x_L for an identity or tanh network."""
    import jax

    phi = {"identity": lambda z: z, "tanh": jax.numpy.tanh}[case.network.activation]
    for i, (w, b) in enumerate(parameters):
        x = x @ w if b is None else x @ w + b
        x = x if i == case.network.depth - 1 else phi(x)
    return x


def nglab_step(case: Case, optimizer: Optimizer) -> Step:
    """What nglab's training loop does between two evaluations."""
    params = case.params.map(torch.clone)
    state = optimizer.init(
        Task(case.network, Gaussian(), 1), params, lambda purpose: [stream(0, purpose)]
    )

    @torch.inference_mode()
    def step() -> Sequence[Tensor]:
        nonlocal params, state
        for x, y in zip(case.x, case.y, strict=True):
            params, state = optimizer.step(params, state, x, y)
        return params

    return step


def nglab_sgd(case: Case) -> Step:
    return nglab_step(
        case, SGD(lr=case.lr, batch_size=case.batch_size, schedule=Constant(warm_up=0))
    )


def nglab_ngd(case: Case, samples: int = 1) -> Step:
    """Everything refreshed at each step, the loss evaluated anew, ρ and λ adapted: Eqs. 20 and 21."""
    return nglab_step(case, make_ngd(case.batch_size, samples))


def make_ngd(batch_size: int, samples: int) -> NGD:
    return NGD(
        lr=1.0,
        batch_size=batch_size,
        schedule=Constant(warm_up=0),
        samples=samples,
        gradient_average=0.0,
        metric=Kronecker(average=0.0, refresh=1, split="equal", sides="both", solver=Cholesky()),
        damping=LevenbergMarquardt(initial=1e-2, min=1e-8, factor=1.5, interval=1),
        step_rule=Paper(),
    )


SGD_STEPS: dict[str, Maker] = {
    "autograd, torch.optim.SGD": autograd_sgd,
    "explicit": explicit_sgd,
    "explicit, out= buffers": buffered_sgd,
    "JAX, jit of a scan": jax_scan_sgd,
    "nglab": nglab_sgd,
}
NGD_STEPS: dict[str, Maker] = {
    "autograd forward + backward": autograd_gradient,
    "explicit forward + backward": explicit_gradient,
    "nglab": nglab_ngd,
}
