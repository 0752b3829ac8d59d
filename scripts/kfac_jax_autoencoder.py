"""Train the MNIST autoencoder of Figure 1D by kfac-jax, measured as nglab measures its own methods.

    python scripts/kfac_jax_autoencoder.py                              # its defaults: all adaptive, λ₀ 1
    python scripts/kfac_jax_autoencoder.py --batch-size 250 --passes 2 initial_damping=0.1 min_damping=1e-4
    OMP_NUM_THREADS=1 taskset -c 0 python scripts/kfac_jax_autoencoder.py learning_rate=0.125 momentum=0.0

A `key=value` is an argument of `kfac_jax.Optimizer`; `learning_rate` and `momentum` are fixed instead of adaptive.
Network, first parameters, data, order of the batches, loss and the rows of the curve are those of
`nglab run arch=mnist_autoencoder`. Batches that burn-in takes count as seen, and its seconds as optimisation.
Needs nglab and kfac-jax in one environment: its repository's head (github.com/google-deepmind/kfac-jax), or its
release 0.0.8 with jax < 0.9.
"""

import argparse
import ast
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import jax
import jax.numpy as jnp
import kfac_jax
import pandas as pd
import torch

from nglab.data.batches import Batches
from nglab.data.mnist_files import read
from nglab.networks.initial import random_parameters
from nglab.networks.network import Network
from nglab.randomness import stream

WIDTHS = (784, 400, 200, 100, 50, 100, 200, 400, 784)
EXAMPLES = 60_000
TOLD = ("damping", "learning_rate", "momentum")  # of kfac-jax's statistics, of the last step
README = {f"use_adaptive_{name}": True for name in TOLD} | {"l2_reg": 0.0, "initial_damping": 1.0}
COLUMNS = ("examples_seen", "train_seconds", "cpu_seconds", *TOLD)
WARM_UP = 22  # batches off the clock: with burn-in and the λ rule at work, so that all is compiled


def forward(parameters: Any, x: jax.Array) -> jax.Array:
    """x_L: tanh layers, the last one linear."""
    *hidden, (w, b) = parameters
    for w_i, b_i in hidden:
        x = jnp.tanh(x @ w_i + b_i)
    return x @ w + b


def loss(parameters: Any, x: jax.Array) -> jax.Array:
    """h = ½ ⟨‖x − x_L‖²⟩."""
    z = forward(parameters, x)
    kfac_jax.register_squared_error_loss(z, x, weight=0.5)
    return 0.5 * ((x - z) ** 2).sum(-1).mean()


def first_parameters(seed: int) -> Any:
    """(W_iᵀ, b_i) for each layer, float32."""
    network = Network(WIDTHS, "tanh", bias=True)
    layers = [w.float() for w in random_parameters(network, 1.0, stream(seed, "student"))]
    return [(jnp.array(w[:, :-1].T.numpy()), jnp.array(w[:, -1].numpy())) for w in layers]


def images(split: str) -> torch.Tensor:
    """`[N, 784]`, pixels in [0, 1]."""
    return read(None, split, "images").flatten(1).to(torch.float32).div_(255)


class Taken:
    """nglab's batches in their order, without end, gathered a tenth of a pass at a time; `count` were taken."""

    def __init__(self, x: torch.Tensor, batch_size: int, seed: int) -> None:
        self.batches = Batches(x[None], x[None], batch_size, [stream(seed, "batches")], None)
        self.tenth, self.count = self.batches.steps_per_pass // 10, 0
        self.example = jnp.asarray(x[:batch_size].numpy())

    def __next__(self) -> jax.Array:
        within_pass = self.count % self.batches.steps_per_pass
        if within_pass == 0:
            self.batches.shuffle()
        if within_pass % self.tenth == 0:
            self.ready = self.batches.gather(within_pass, self.tenth)[0].numpy()
        self.count += 1
        return jnp.asarray(self.ready[within_pass % self.tenth])


def make_optimizer(settings: dict[str, Any]) -> kfac_jax.Optimizer:
    """With kfac-jax's README for what is not set; raises TypeError where kfac-jax knows no such setting."""
    settings = README | settings
    for name in {"learning_rate", "momentum"} & settings.keys():
        fixed = jnp.asarray(settings.pop(name))
        settings[f"use_adaptive_{name}"] = False
        settings[f"{name}_schedule"] = lambda *_, fixed=fixed, **__: fixed
    return kfac_jax.Optimizer(jax.value_and_grad(loss), **settings)


def train(optimizer: kfac_jax.Optimizer, batches: Taken, seed: int, last: int) -> Iterator[Any]:
    """The parameters and their row, before the first step and each tenth of a pass.

    `cpu_seconds` are the processor's: what others on the machine take does not count.
    """
    parameters, key, step = first_parameters(seed), jax.random.key(seed), 0
    state, stats = optimizer.init(parameters, key, batches.example), dict.fromkeys(TOLD, math.nan)
    clocks, spent = (perf_counter, process_time), [0.0, 0.0]
    while True:
        measured = (batches.count * len(batches.example), *spent, *(stats[name] for name in TOLD))
        yield parameters, dict(zip(COLUMNS, map(float, measured), strict=True))
        if batches.count >= last:
            return
        tenths, start = batches.count // batches.tenth, [now() for now in clocks]
        while batches.count // batches.tenth == tenths:
            key, drawn = jax.random.split(key)
            parameters, state, stats = optimizer.step(
                parameters, state, drawn, data_iterator=batches, global_step_int=step
            )
            step += 1
        jax.block_until_ready(parameters)
        spent = [s + now() - then for s, now, then in zip(spent, clocks, start, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("settings", nargs="*", metavar="key=value")
    parser.add_argument("--batch-size", type=int, default=1000, help="M; divides 6000")
    parser.add_argument("--passes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="CSV to add to: a row each tenth of a pass")
    run = parser.parse_args()
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    warnings.filterwarnings("ignore", "Some donated buffers")
    pairs = (setting.split("=", 1) for setting in run.settings)
    optimizer = make_optimizer({key: ast.literal_eval(value) for key, value in pairs})
    train_x, test_x = images("train"), images("test").numpy()
    test_loss, curve = jax.jit(lambda parameters: loss(parameters, test_x)), []
    warm_up, batches = (Taken(train_x, run.batch_size, run.seed) for _ in range(2))
    list(train(optimizer, warm_up, run.seed, WARM_UP))
    named = {"batch_size": run.batch_size, "seed": run.seed, "settings": " ".join(run.settings)}
    last = round(run.passes * EXAMPLES / run.batch_size)
    for parameters, row in train(optimizer, batches, run.seed, last):
        row["test_loss"] = float(test_loss(parameters))
        print(*(f"{name} {value:.5g}" for name, value in row.items()), flush=True)
        curve.append(named | row)
    if run.out:
        head = not run.out.exists()
        pd.DataFrame(curve).to_csv(run.out, mode="a", header=head, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
