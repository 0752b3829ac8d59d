"""The same networks in JAX: `jit` of a `lax.scan` over the batches, of one run or, under `vmap`, of many.

JAX is imported where a step is made: it is one of the libraries that may be missing.
"""

from typing import Any

import torch

from nglab.bench.cases import Case, layers_of, plain_parameters
from nglab.bench.nglab_steps import method
from nglab.bench.timing import Step
from nglab.networks.network import Network


def set_precision(dtype: torch.dtype) -> None:
    """Have JAX compute in `dtype` from here on."""
    import jax

    jax.config.update("jax_enable_x64", dtype == torch.float64)


def batches_in_jax(case: Case) -> tuple[Any, Any]:
    """x and y as arrays of JAX, which from here on computes in their precision."""
    import jax

    set_precision(case.x.dtype)
    return jax.numpy.array(case.x.numpy()), jax.numpy.array(case.y.numpy())


def jax_parameters(case: Case) -> Any:
    """(W_iᵀ, b_i or None) for each layer: JAX users store W_i as [n_{i-1}, n_i]."""
    import jax

    return [
        (jax.numpy.array(w.T.numpy()), None if b is None else jax.numpy.array(b.numpy()))
        for w, b in layers_of(case.network, plain_parameters(case))
    ]


def jax_forward(network: Network, parameters: Any, x: Any) -> Any:
    """x_L for an identity or tanh network."""
    import jax

    phi = {"identity": lambda z: z, "tanh": jax.numpy.tanh}[network.activation]
    for i, (w, b) in enumerate(parameters):
        x = x @ w if b is None else x @ w + b
        x = x if i == network.depth - 1 else phi(x)
    return x


def half_squared_error(z: Any, y: Any) -> Any:
    """h = ½ ⟨‖y − z‖²⟩."""
    return 0.5 * ((y - z) ** 2).sum(-1).mean()


def gradient(network: Network) -> Any:
    """(W, batch) → ∂h/∂W."""
    import jax

    def loss(parameters: Any, batch: Any) -> Any:
        return half_squared_error(jax_forward(network, parameters, batch[0]), batch[1])

    return jax.grad(loss)


def sgd_update(case: Case) -> Any:
    """(W, batch) → W − α ∂h/∂W, as `lax.scan` wants it."""
    import jax

    gradient_of = gradient(case.network)

    def update(parameters: Any, batch: Any) -> Any:
        gradients = gradient_of(parameters, batch)
        return jax.tree.map(lambda w, g: w - case.lr * g, parameters, gradients), None

    return update


def jax_scan_sgd(case: Case) -> Step:
    """`jax.jit` of a `lax.scan` over the batches; its parameters as `jax_parameters` has them."""
    x, y = batches_in_jax(case)
    return scanning(sgd_update(case), jax_parameters(case), x, y)


def jax_scan_momentum(case: Case) -> Step:
    """The same of V ← μ V + ∂h/∂W, W ← W − α V, μ that of nglab's `momentum`; returns (W, V)."""
    import jax

    mu = method("momentum").momentum  # type: ignore[attr-defined]
    gradient_of = gradient(case.network)

    def update(carried: Any, batch: Any) -> Any:
        parameters, velocity = carried
        gradients = gradient_of(parameters, batch)
        velocity = jax.tree.map(lambda v, g: mu * v + g, velocity, gradients)
        return (jax.tree.map(lambda w, v: w - case.lr * v, parameters, velocity), velocity), None

    x, y = batches_in_jax(case)
    parameters = jax_parameters(case)
    return scanning(update, (parameters, jax.tree.map(jax.numpy.zeros_like, parameters)), x, y)


def jax_stack_sgd(runs: int, case: Case) -> Step:
    """`jax.vmap` of the scan over `runs` runs, each with parameters and batches of its own."""
    import jax

    x, y = batches_in_jax(case)
    parameters = jax.tree.map(lambda w: jax.numpy.stack([w] * runs), jax_parameters(case))
    x, y = (jax.numpy.stack([batches] * runs) for batches in (x, y))
    return scanning(sgd_update(case), parameters, x, y, jax.vmap)


def scanning(update: Any, carried: Any, x: Any, y: Any, over: Any = lambda run: run) -> Step:
    """The step that carries on through the batches x, y again and again."""
    import jax

    run = jax.jit(over(lambda carried, x, y: jax.lax.scan(update, carried, (x, y))[0]))

    def step() -> Any:
        nonlocal carried
        carried = jax.block_until_ready(run(carried, x, y))
        return carried

    return step
