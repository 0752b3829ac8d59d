"""Whole runs by kfac-jax on what `nglab run` would train, measured as nglab measures its own methods.

Network, first parameters, data, order of the batches, loss and precision are those of a `Config`. Batches that burn-in
takes count as seen, and its seconds as optimisation; what is compiled is so off the clock.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter, process_time
from typing import Any

import torch

from nglab.bench.jax_steps import jax_forward, set_precision
from nglab.bench.kfac_jax_optimizer import RULES, kfac_jax_loss, make_optimizer
from nglab.data.batches import Batches
from nglab.data.dataset import Dataset
from nglab.networks.initial import random_parameters
from nglab.randomness import stream
from nglab.runs.config import Config

MEASURED = ("step", "examples_seen", "train_seconds", "cpu_seconds", *RULES)
WARM_UP = 22  # batches off the clock: with burn-in and the λ rule at work, so that all is compiled


def loss_of(config: Config) -> Callable[[Any, Any], Any]:
    """½ ⟨‖y − x_L‖²⟩, or the cross-entropy of softmax(x_L) with classes, registered with kfac-jax."""
    import jax
    import kfac_jax

    def cross_entropy(parameters: Any, batch: Any) -> Any:
        x, y = batch
        z = jax_forward(config.arch, parameters, x)
        kfac_jax.register_softmax_cross_entropy_loss(z, y)
        return -(y * jax.nn.log_softmax(z)).sum(-1).mean()

    return cross_entropy if config.data.targets == "classes" else kfac_jax_loss(config.arch)


def first_parameters(config: Config) -> Any:
    """(W_iᵀ, b_i or None) for each layer, in the precision of `config`."""
    import jax

    network, dtype = config.arch, getattr(torch, config.dtype)
    drawn = random_parameters(network, config.init.gain, stream(config.seed, "student"))
    layers = [jax.numpy.array(w.to(dtype).numpy()) for w in drawn]
    return [(w[:, :-1].T, w[:, -1]) if network.bias else (w.T, None) for w in layers]


class Taken:
    """nglab's batches in their order, without end, gathered a tenth of a pass at a time; `count` were taken."""

    def __init__(self, data: Dataset, batch_size: int, seed: int) -> None:
        generators, self.batch_size = [stream(seed, "batches")], batch_size
        self.batches = Batches(data.train_x, data.train_y, batch_size, generators, None)
        self.tenth, self.count = max(1, self.batches.steps_per_pass // 10), 0

    def __next__(self) -> Any:
        import jax

        within_pass = self.count % self.batches.steps_per_pass
        if within_pass == 0:
            self.batches.shuffle()
        if within_pass % self.tenth == 0:
            self.ready = [part.numpy() for part in self.batches.gather(within_pass, self.tenth)]
        self.count += 1
        return tuple(jax.numpy.asarray(part[within_pass % self.tenth]) for part in self.ready)

    def example(self) -> Any:
        import jax

        examples = self.batches.example(torch.Size())
        return tuple(jax.numpy.asarray(part.numpy()) for part in examples)


def train(
    optimizer: Any, config: Config, batches: Taken, last: int
) -> Iterator[tuple[Any, dict[str, float]]]:
    """The parameters and their row, before the first step and each tenth of a pass until `last` batches are taken.

    `cpu_seconds` are the processor's: what others on the machine take does not count.
    """
    import jax

    parameters, key, step = first_parameters(config), jax.random.key(config.seed), 0
    state = optimizer.init(parameters, key, batches.example())
    stats: Mapping[str, Any] = dict.fromkeys(RULES, math.nan)
    clocks, spent = (perf_counter, process_time), [0.0, 0.0]
    while True:
        measured = (step, batches.count * batches.batch_size, *spent, *(stats[n] for n in RULES))
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
    import jax

    x, y = (jax.numpy.asarray(part[0].numpy()) for part in (data.test_x, data.test_y))
    loss = jax.jit(lambda parameters: loss_of(config)(parameters, (x, y)))
    outputs = jax.jit(lambda parameters: jax_forward(config.arch, parameters, x))

    def measure(parameters: Any) -> dict[str, float]:
        measured = {"test_loss": float(loss(parameters))}
        if config.data.targets == "classes":
            wrong = outputs(parameters).argmax(-1) != y.argmax(-1)
            measured["test_error"] = 100 * float(wrong.mean())
        return measured

    return measure


def kfac_jax_optimizer(config: Config, settings: Mapping[str, Any]) -> Any:
    """One that trains the loss of `config`, whatever its seed; TypeError where kfac-jax knows no such setting."""
    set_precision(getattr(torch, config.dtype))
    return make_optimizer(loss_of(config), settings)


def train_one(
    optimizer: Any, config: Config, batch_size: int, passes: float
) -> Iterator[dict[str, float]]:
    """The rows of a run, after a warm-up off the clock."""
    made = config.data.dataset(config.arch, config.init.gain, config.seed)
    data = made.to(getattr(torch, config.dtype), torch.device("cpu"))
    list(train(optimizer, config, Taken(data, batch_size, config.seed), WARM_UP))
    measure = measurer(config, data)
    last = max(1, round(passes * config.data.train_examples / batch_size))
    for parameters, row in train(optimizer, config, Taken(data, batch_size, config.seed), last):
        yield row | measure(parameters)
