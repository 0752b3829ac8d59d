"""Runs of `compare_modules.py`: MNIST's images, one model trained by one method, and the rows that are kept of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import process_time
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from nglab.bench.cases import network_of
from nglab.data.mnist_digits import MnistDigits

Images = tuple[Tensor, Tensor]
Step = Callable[[Tensor, Tensor], object]
HELD_OUT = 10_000
"""Training images that settings are tuned on."""

COLUMNS = (
    "problem", "method", "kind", "settings", "seed", "passes", "seconds", "loss", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A model, minus the logarithm of its likelihood, and the seconds after which a loss is told."""

    model: Callable[[], nn.Module]
    likelihood: str
    loss: Callable[[Tensor, Tensor], Tensor]
    shape: tuple[int, ...]
    labelled: bool
    seconds: tuple[float, ...]

    def batch(self, images: Images) -> Images:
        """Input and target."""
        x = images[0].view(-1, *self.shape)
        return x, (images[1] if self.labelled else x)


@cache
def splits(train: int, test: int) -> dict[str, tuple[Images, Images]]:
    """Pixels `[N, 784]` and digits `[N]` that are trained on and measured on, in a search and in a run that is told."""
    source = MnistDigits(train_examples=train, test_examples=test, root=None, validation=False)
    data = source.dataset(network_of("D"), 1.0, 0)
    pixels, digits = data.train_x[0], data.train_y[0].argmax(1)
    kept = train - min(HELD_OUT, train // 2)
    first, last = (pixels[:kept], digits[:kept]), (pixels[kept:], digits[kept:])
    told = data.test_x[0], data.test_y[0].argmax(1)
    return {"search": (first, last), "run": ((pixels, digits), told)}


@torch.no_grad()
def measure(model: nn.Module, problem: Problem, images: Images) -> dict[str, float]:
    """The loss and, of a classifier, the percentage of wrong classes."""
    x, y = problem.batch(images)
    z = torch.cat([model(part) for part in x.split(1000)])
    measured = {"loss": float(problem.loss(z, y))}
    if problem.labelled:
        measured["error"] = 100 * float((z.argmax(1) != y).double().mean())
    return measured


def train(
    problem: Problem, make: Callable[[nn.Module], Step], data: Images, held: Images,
    batch_size: int, seed: int, least: Mapping[str, float],
) -> Iterator[dict[str, float]]:  # fmt: skip
    """A row before the first step and after each quarter of a pass, until passes and seconds are the `least`; none
    after a loss that is twice the first, or not finite.

    Seconds are the processor's, which another program's work on the machine does not lengthen.
    """
    torch.manual_seed(seed)
    model = problem.model()
    step, (x, y) = make(model), problem.batch(data)
    taken, first = {"passes": 0.0, "seconds": 0.0}, measure(model, problem, held)
    yield taken | first
    for end, batches in quarters(len(x), batch_size, seed):
        start = process_time()
        for rows in batches:
            step(x[rows], y[rows])
        taken = {"passes": end, "seconds": taken["seconds"] + process_time() - start}
        measured = measure(model, problem, held)
        yield taken | measured
        done = all(taken[clock] >= mark for clock, mark in least.items())
        if done or not measured["loss"] < 2 * first["loss"]:
            return


def quarters(examples: int, batch_size: int, seed: int) -> Iterator[tuple[float, list[Tensor]]]:
    """Without end: passes gone through, and the batches of the quarter that leads there. A seed has one order."""
    generator, whole = torch.Generator().manual_seed(seed), 0
    per_pass = examples // batch_size
    while True:
        batches = torch.randperm(examples, generator=generator).split(batch_size)
        for n in range(4):
            first, last = n * per_pass // 4, (n + 1) * per_pass // 4
            yield whole + (n + 1) / 4, list(batches[first:last])
        whole += 1


class Record:
    """A CSV with the rows of runs, each named by its keys; a run that is there is not made again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.rows = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=list(COLUMNS))

    def curve(
        self, key: Mapping[str, Any], make: Callable[[], Iterator[dict[str, float]]]
    ) -> pd.DataFrame:
        """The rows of a run, as the file has them; trained, told and added to it if need be."""
        if self._find(key).empty:
            rows = pd.DataFrame(list(make())).assign(**key).reindex(columns=list(COLUMNS))
            print(*key.values(), *rows.iloc[-1, len(key) :].round(4), flush=True)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new = not self.file.exists()
            rows.to_csv(self.file, mode="a", header=new, index=False, float_format="%.6g")
            self.rows = pd.read_csv(self.file)
        return self._find(key)

    def _find(self, key: Mapping[str, Any]) -> pd.DataFrame:
        return self.rows[(self.rows[list(key)] == pd.Series(key)).all(axis=1)]
