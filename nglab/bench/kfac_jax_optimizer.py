"""`kfac_jax.Optimizer` with the settings that do the work of one of nglab's methods.

kfac-jax, and JAX, are imported where an optimizer is made: they may be missing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nglab.bench.cases import Case
from nglab.bench.jax_steps import batches_in_jax, half_squared_error, jax_forward, jax_parameters
from nglab.bench.nglab_steps import method
from nglab.bench.timing import Step
from nglab.networks.network import Network

RULES = ("damping", "learning_rate", "momentum")
"""What kfac-jax adapts by the quadratic model, or is given."""


def settings_like(name: str, adaptive: tuple[str, ...]) -> dict[str, Any]:
    """Those of nglab's `conf/optimizer/<name>.yaml`; the rules named `adaptive` at work."""
    ngd: Any = method(name)
    damping = ngd.damping
    return {f"use_adaptive_{rule}": rule in adaptive for rule in RULES} | {
        "inverse_update_period": ngd.metric.refresh,
        "curvature_ema": ngd.metric.average,
        "initial_damping": damping.initial,
        "min_damping": damping.min,
        "damping_adaptation_interval": damping.interval,
        "damping_adaptation_decay": 1 / damping.factor,
        "num_burnin_steps": 0,
    }


def make_optimizer(loss: Callable[[Any, Any], Any], settings: Mapping[str, Any]) -> Any:
    """`settings` are kfac-jax's own; a learning_rate, momentum or damping among them is fixed.

    Raises TypeError where kfac-jax knows no such setting.
    """
    import jax
    import kfac_jax

    own: dict[str, Any] = {"l2_reg": 0.0, **settings}
    for rule in [rule for rule in RULES if rule in own]:
        value = jax.numpy.asarray(own.pop(rule))
        own[f"use_adaptive_{rule}"] = False
        own[f"{rule}_schedule"] = lambda *_, value=value, **__: value
    return kfac_jax.Optimizer(jax.value_and_grad(loss), **own)


def kfac_jax_loss(network: Network) -> Callable[[Any, Any], Any]:
    """(W, batch) → ½ ⟨‖y − x_L‖²⟩, registered with kfac-jax."""
    import kfac_jax

    def loss(parameters: Any, batch: Any) -> Any:
        x, y = batch
        z = jax_forward(network, parameters, x)
        kfac_jax.register_squared_error_loss(z, y, weight=0.5)
        return half_squared_error(z, y)

    return loss


def kfac_jax_step(settings: Mapping[str, Any], case: Case) -> Step:
    """A step on each batch of the case; what `settings` do not adapt is fixed: α = 1/L, no momentum, λ as it starts."""
    import jax

    x, y = batches_in_jax(case)
    fixed = {"learning_rate": case.lr, "momentum": 0.0, "damping": settings["initial_damping"]}
    given = {rule: fixed[rule] for rule in RULES if not settings[f"use_adaptive_{rule}"]}
    optimizer = make_optimizer(kfac_jax_loss(case.network), {**settings, **given})
    batches, parameters = list(zip(x, y, strict=True)), jax_parameters(case)
    key, taken = jax.random.PRNGKey(0), 0
    state = optimizer.init(parameters, key, batches[0])

    def step() -> Any:
        nonlocal parameters, state, key, taken
        for batch in batches:
            key, drawn = jax.random.split(key)
            parameters, state, _ = optimizer.step(
                parameters, state, drawn, batch=batch, global_step_int=taken
            )
            taken += 1
        return jax.block_until_ready(parameters)

    return step
