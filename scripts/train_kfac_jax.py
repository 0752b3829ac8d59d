"""Train a problem of the race by kfac-jax, measured as nglab measures its own methods.

    python scripts/train_kfac_jax.py A B C D --passes 10 --seeds 3 --out kfac_jax.csv      # as its example has it
    python scripts/train_kfac_jax.py D --batch-size 250 initial_damping=0.1 min_damping=1e-4 num_burnin_steps=1
    OMP_NUM_THREADS=1 taskset -c 0 python scripts/train_kfac_jax.py D learning_rate=0.125 momentum=0.0

A `key=value` is an argument of `kfac_jax.Optimizer`; `learning_rate` and `momentum` are fixed instead of adaptive. What
is not set is as in kfac-jax's own examples/autoencoder_mnist/pipeline.py, but for two things: that example takes all
60 000 images as one batch, which leaves two steps in two passes, so M is 125 here, the nearest to its README's 128 that
divides a pass; and it adds 1e-5 of weight decay to its loss, which is none of nglab's losses.
Network, first parameters, data, order of the batches, loss, precision and the rows of the curve are those of
`nglab run arch=… seed=…`; rows have the columns of the race's `curves.csv`. Batches that burn-in takes count as seen,
and its seconds as optimisation; what is compiled is so off the clock.
Needs nglab and kfac-jax in one environment: its repository's head (github.com/google-deepmind/kfac-jax), or its
release 0.0.8 with jax < 0.9.
"""

import math
import os
import warnings
from collections.abc import Callable, Iterator
from time import perf_counter, process_time
from typing import Any

import jax
import jax.numpy as jnp
import kfac_jax
import torch
from beside_the_race import add, arguments, as_text, problem, table, told

from nglab.data.batches import Batches
from nglab.data.dataset import Dataset
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.randomness import stream
from nglab.runs.config import Config

Batch = tuple[jax.Array, jax.Array]
TOLD = ("damping", "learning_rate", "momentum")  # of kfac-jax's statistics, of the last step
EXAMPLE = {f"use_adaptive_{name}": True for name in TOLD} | {
    "l2_reg": 0.0,
    "inverse_update_period": 5,
    "damping_adaptation_interval": 5,
    "num_burnin_steps": 5,
    "curvature_ema": 0.95,
    "damping_adaptation_decay": 0.95,
    "initial_damping": 150.0,
    "min_damping": 1e-5,
    "max_damping": 1000.0,
}
MEASURED = ("step", "examples_seen", "train_seconds", "cpu_seconds", *TOLD)
WARM_UP = 22  # batches off the clock: with burn-in and the λ rule at work, so that all is compiled


def forward(network: Network, parameters: Any, x: jax.Array) -> jax.Array:
    """x_L: layers x W (+ b), tanh between them where the network has it."""
    for i, layer in enumerate(parameters):
        x = x @ layer[0] + layer[1] if network.bias else x @ layer[0]
        if network.activation == "tanh" and i < network.depth - 1:
            x = jnp.tanh(x)
    return x


def make_loss(config: Config) -> Callable[[Any, Batch], jax.Array]:
    """h = ½ ⟨‖y − x_L‖²⟩, or the cross-entropy of softmax(x_L) with classes, registered with kfac-jax."""

    def squared_error(parameters: Any, batch: Batch) -> jax.Array:
        x, y = batch
        z = forward(config.arch, parameters, x)
        kfac_jax.register_squared_error_loss(z, y, weight=0.5)
        return 0.5 * ((y - z) ** 2).sum(-1).mean()

    def cross_entropy(parameters: Any, batch: Batch) -> jax.Array:
        x, y = batch
        z = forward(config.arch, parameters, x)
        kfac_jax.register_softmax_cross_entropy_loss(z, y)
        return -(y * jax.nn.log_softmax(z)).sum(-1).mean()

    return cross_entropy if config.data.targets == "classes" else squared_error


def first_parameters(config: Config) -> Any:
    """(W_iᵀ, b_i) or (W_iᵀ,) for each layer, in the precision of `config`."""
    network, student = config.arch, stream(config.seed, "student")
    drawn = random_parameters(network, config.init.gain, student)
    layers = [jnp.array(w.to(getattr(torch, config.dtype)).numpy()) for w in drawn]
    return [(w[:, :-1].T, w[:, -1]) if network.bias else (w.T,) for w in layers]


class Taken:
    """nglab's batches in their order, without end, gathered a tenth of a pass at a time; `count` were taken."""

    def __init__(self, data: Dataset, batch_size: int, seed: int) -> None:
        generators, self.batch_size = [stream(seed, "batches")], batch_size
        self.batches = Batches(data.train_x, data.train_y, batch_size, generators, None)
        self.tenth, self.count = max(1, self.batches.steps_per_pass // 10), 0
        x, y = self.batches.example(torch.Size())
        self.example = jnp.asarray(x.numpy()), jnp.asarray(y.numpy())

    def __next__(self) -> Batch:
        within_pass = self.count % self.batches.steps_per_pass
        if within_pass == 0:
            self.batches.shuffle()
        if within_pass % self.tenth == 0:
            self.ready = [part.numpy() for part in self.batches.gather(within_pass, self.tenth)]
        self.count += 1
        x, y = (jnp.asarray(part[within_pass % self.tenth]) for part in self.ready)
        return x, y


def make_optimizer(config: Config, settings: dict[str, Any]) -> kfac_jax.Optimizer:
    """With kfac-jax's example for what is not set; raises TypeError where kfac-jax knows no such setting."""
    settings = EXAMPLE | settings
    for name in {"learning_rate", "momentum"} & settings.keys():
        fixed = jnp.asarray(settings.pop(name))
        settings[f"use_adaptive_{name}"] = False
        settings[f"{name}_schedule"] = lambda *_, fixed=fixed, **__: fixed
    return kfac_jax.Optimizer(jax.value_and_grad(make_loss(config)), **settings)


def train(
    optimizer: kfac_jax.Optimizer, config: Config, batches: Taken, last: int
) -> Iterator[tuple[Any, dict[str, float]]]:
    """The parameters and their row, before the first step and each tenth of a pass until `last` batches are taken.

    `cpu_seconds` are the processor's: what others on the machine take does not count.
    """
    parameters, key, step = first_parameters(config), jax.random.key(config.seed), 0
    state, stats = optimizer.init(parameters, key, batches.example), dict.fromkeys(TOLD, math.nan)
    clocks, spent = (perf_counter, process_time), [0.0, 0.0]
    while True:
        measured = (step, batches.count * batches.batch_size, *spent, *(stats[n] for n in TOLD))
        yield parameters, dict(zip(MEASURED, map(float, measured), strict=True))
        if batches.count >= last:
            return
        tenths, start = batches.count // batches.tenth, [now() for now in clocks]
        while batches.count // batches.tenth == tenths and batches.count < last:
            key, drawn = jax.random.split(key)
            parameters, state, stats = optimizer.step(
                parameters, state, drawn, data_iterator=batches, global_step_int=step
            )
            step += 1
        jax.block_until_ready(parameters)
        spent = [s + now() - then for s, now, then in zip(spent, clocks, start, strict=True)]


def measurer(config: Config, data: Dataset) -> Callable[[Any], dict[str, float]]:
    """A function of the parameters: the loss on the test set and, of a classifier, the percentage of wrong classes."""
    x, y = jnp.asarray(data.test_x[0].numpy()), jnp.asarray(data.test_y[0].numpy())
    loss = jax.jit(lambda parameters: make_loss(config)(parameters, (x, y)))
    outputs = jax.jit(lambda parameters: forward(config.arch, parameters, x))

    def measure(parameters: Any) -> dict[str, float]:
        measured = {"test_loss": float(loss(parameters))}
        if config.data.targets == "classes":
            wrong = outputs(parameters).argmax(-1) != y.argmax(-1)
            measured["test_error"] = 100 * float(wrong.mean())
        return measured

    return measure


def train_one(
    optimizer: kfac_jax.Optimizer, config: Config, batch_size: int, passes: float
) -> Iterator[dict[str, float]]:
    """The rows of a run, after a warm-up off the clock."""
    made = config.data.dataset(config.arch, config.init.gain, config.seed)
    data = made.to(getattr(torch, config.dtype), torch.device("cpu"))
    measure = measurer(config, data)
    list(train(optimizer, config, Taken(data, batch_size, config.seed), WARM_UP))
    last = max(1, round(passes * config.data.train_examples / batch_size))
    for parameters, row in train(optimizer, config, Taken(data, batch_size, config.seed), last):
        yield row | measure(parameters)


def main() -> None:
    run, letters, settings = arguments(__doc__, {}, 125)
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    warnings.filterwarnings("ignore", "Some donated buffers")
    setting = as_text({"batch_size": run.batch_size} | settings)
    for letter in letters:
        jax.config.update("jax_enable_x64", problem(letter, 0).dtype == "float64")
        optimizer = make_optimizer(problem(letter, 0), settings)
        for seed in range(run.seeds):
            config = problem(letter, seed)
            rows = train_one(optimizer, config, run.batch_size, run.passes)
            curve = told(rows, f"{letter} seed {seed}:")
            add(table(letter, config, "kfac-jax", setting, curve), run.out)


if __name__ == "__main__":
    main()
