"""The steps that are compared: who takes part, on which batches, and beside whom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import pandas as pd
import torch

from nglab.bench.cases import Plan
from nglab.bench.cost import flops_ngd, flops_sgd
from nglab.bench.jax_steps import jax_scan_momentum, jax_scan_sgd, jax_stack_sgd
from nglab.bench.kfac_jax_optimizer import RULES, kfac_jax_step, settings_like
from nglab.bench.models import ModelPlan
from nglab.bench.module_steps import AUTOGRAD, MODULE_STEPS
from nglab.bench.nglab_steps import method, nglab_ngd, nglab_step
from nglab.bench.peers import PEERS
from nglab.bench.processes import Contender, Worker, contest
from nglab.bench.stacks import stacked_sgd
from nglab.bench.steps import GRADIENTS, SGD_STEPS, Maker
from nglab.bench.timing import Step
from nglab.networks.network import Network

SGD_BATCH, NGD_BATCH, KFAC_BATCH = 20, 1000, 250
MODEL_BATCHES = {"MLP": 1000, "CNN": 500}
REFRESHES = {"each step": 1, "every tenth": 10}
SGD_CALL = (
    50  # steps in one call: what nglab's loop takes at once, and over which JAX's dispatch spreads
)
STACK_CALL, RUNS = 10, 64
SMALL = 1e-4  # a rate at which no contender diverges on white noise

JAX = "JAX, jit of a scan"
JAX_MOMENTUM = "JAX, jit of a scan, momentum"
KFAC_JAX = "kfac-jax, α, μ and λ fixed"
KFAC_JAX_RULE = "kfac-jax, λ by its rule"
KFAC_JAX_AS_KFAC = "kfac-jax, all its rules, inverses as kfac"
KFAC_JAX_EACH = "kfac-jax, all its rules, inverses each step"
REFERENCES = {
    "sgd": {"over_nglab": "nglab", "over_autograd": "autograd, torch.optim.SGD", "over_jax": JAX},
    "momentum": {"over_nglab": "nglab", "over_jax": JAX_MOMENTUM},
    "ngd": {"over_nglab": "nglab", "over_explicit": "explicit forward + backward",
            "over_kfac_jax": KFAC_JAX, "over_kfac_jax_rule": KFAC_JAX_RULE},
    "libraries": {"over_nglab": "nglab"},
    "modules": {"over_autograd": AUTOGRAD},
    "kfac": {"over_kfac_jax": KFAC_JAX_AS_KFAC},
    "layerwise": {"over_kfac_jax": KFAC_JAX_EACH},
    "stacks": {"over_alone": "nglab, alone", "over_jax": f"JAX, vmap of a scan over {RUNS}"},
}  # fmt: skip
"""measurement → column → whose time a contender's is divided by."""


@dataclass(frozen=True)
class Ring:
    """Where contenders meet: the processes, how often each is timed, and the precision."""

    processes: Sequence[Worker]
    rounds: int
    dtype: torch.dtype

    def plan(self, network: Network, batch_size: int, steps: int, lr: float = SMALL) -> Plan:
        return Plan(network, batch_size, steps, lr, self.dtype)

    def compare(
        self, what: str, by_torch: Mapping[str, Contender], by_jax: Mapping[str, Contender],
    ) -> pd.DataFrame:  # fmt: skip
        return contest(self.processes, by_torch, by_jax, REFERENCES[what], self.rounds, what)


Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)


class Planned(Protocol[Made_co]):
    """A `Plan` or a `ModelPlan`."""

    @property
    def steps(self) -> int: ...

    def case(self) -> Made_co: ...


def from_plan(make: Callable[[Made], Step], plan: Planned[Made]) -> Step:
    return make(plan.case())


def on(
    plan: Planned[Made], makers: Mapping[str, Callable[[Made], Step]], parts: int = 1
) -> dict[str, Contender]:
    """Each maker on its own case; a call of its step is `steps × parts` of what is reported."""
    return {
        name: Contender(partial(from_plan, make, plan), plan.steps * parts)
        for name, make in makers.items()
    }


def ours(name: str, *settings: str) -> Maker:
    """A step of `conf/optimizer/<name>.yaml`."""
    return partial(nglab_step, name, settings)


def sgd(ring: Ring, network: Network) -> pd.DataFrame:
    """On 20 examples."""
    plan = ring.plan(network, SGD_BATCH, SGD_CALL)
    by_torch = {**SGD_STEPS, "nglab": ours("sgd", f"lr={SMALL}")}
    rows = ring.compare("sgd", on(plan, by_torch), on(plan, {JAX: jax_scan_sgd}))
    return rows.assign(flops=flops_sgd(network, SGD_BATCH))


def momentum(ring: Ring, network: Network) -> pd.DataFrame:
    """On 20 examples."""
    plan = ring.plan(network, SGD_BATCH, SGD_CALL)
    by_torch = {"nglab": ours("momentum", f"lr={SMALL}")}
    return ring.compare("momentum", on(plan, by_torch), on(plan, {JAX_MOMENTUM: jax_scan_momentum}))


def ngd(ring: Ring, network: Network) -> pd.DataFrame:
    """On 1000 examples, everything refreshed; kfac-jax with α = 1/L, at which it stays stable."""
    plan = ring.plan(network, NGD_BATCH, 1, 1 / network.depth)
    by_jax: dict[str, Maker] = {
        KFAC_JAX: partial(kfac_jax_step, settings_like("ngd", ())),
        KFAC_JAX_RULE: partial(kfac_jax_step, settings_like("ngd", ("damping",))),
    }
    by_torch = {**GRADIENTS, "nglab": nglab_ngd}
    rows = ring.compare("ngd", on(plan, by_torch), on(plan, by_jax))
    return rows.assign(flops=flops_ngd(network, NGD_BATCH, samples=1))


def libraries(ring: Ring, network: Network) -> pd.DataFrame:
    """The same step in PyTorch's libraries."""
    plan = ring.plan(network, NGD_BATCH, 1, 1 / network.depth)
    return ring.compare("libraries", on(plan, {"nglab": nglab_ngd, **PEERS}), {})


def kfac(ring: Ring, network: Network) -> pd.DataFrame:
    """On 250 examples, as many steps as lie between two makings of the inverses."""
    return beside_kfac_jax(ring, network, "kfac", KFAC_JAX_AS_KFAC)


def layerwise(ring: Ring, network: Network) -> pd.DataFrame:
    """On 250 examples; kfac-jax, whose coefficient is one for all layers, likewise makes its inverses at each step."""
    return beside_kfac_jax(ring, network, "layerwise", KFAC_JAX_EACH)


def beside_kfac_jax(ring: Ring, network: Network, name: str, other: str) -> pd.DataFrame:
    refresh: int = method(name).metric.refresh  # type: ignore[attr-defined]
    plan = ring.plan(network, KFAC_BATCH, refresh)
    peer: Maker = partial(kfac_jax_step, settings_like(name, RULES))
    return ring.compare(name, on(plan, {"nglab": ours(name)}), on(plan, {other: peer}))


def stacks(ring: Ring, network: Network) -> pd.DataFrame:
    """SGD on 20 examples: a run and step of 64 runs together, and of one alone."""
    plan, alone = (ring.plan(network, SGD_BATCH, steps) for steps in (STACK_CALL, SGD_CALL))
    by_torch = {
        **on(alone, {"nglab, alone": ours("sgd", f"lr={SMALL}")}),
        **on(plan, {f"nglab, {RUNS} stacked": partial(stacked_sgd, RUNS)}, RUNS),
    }
    name = f"JAX, vmap of a scan over {RUNS}"
    return ring.compare("stacks", by_torch, on(plan, {name: partial(jax_stack_sgd, RUNS)}, RUNS))


def modules(ring: Ring, model: str, refreshed: str) -> pd.DataFrame:
    """On a model of `MODEL_BATCHES`; curvature and inverses made anew as one of `REFRESHES` says."""
    plan = ModelPlan(model, MODEL_BATCHES[model], REFRESHES[refreshed], ring.dtype)
    rows = ring.compare("modules", on(plan, MODULE_STEPS), {})
    return rows.assign(panel=f"{model}, {refreshed}")
