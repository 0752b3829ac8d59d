"""Train a problem of the race by plain PyTorch: nn.Sequential, autograd, torch.optim.

    python scripts/plain_torch.py Adam D K --passes 2 --seeds 2 --out adam.csv lr=0.001
    python scripts/plain_torch.py SGD A --batch-size 50 lr=0.01 momentum=0.9 nesterov=True

A `key=value` is an argument of the class of torch.optim. From nglab come the examples, the widths and the smallest
possible loss. First weights (N(0, 1/n_in), biases 0) and the order of the examples are drawn here, from other streams
than nglab's: with equal settings the curves agree up to what the seed changes. `--out` gets a row each tenth of a pass,
in the columns of the race's `curves.csv`; seconds are those of the steps, one thread.
"""

from collections.abc import Callable, Iterator
from itertools import product
from time import perf_counter
from typing import Any

import torch
from beside_the_race import add, arguments, as_text, problem, table, told
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nglab.data.dataset import Dataset
from nglab.networks.network import Network
from nglab.runs.config import Config

Loss = Callable[[Tensor, Tensor], Tensor]


def squared_error(z: Tensor, y: Tensor) -> Tensor:
    """½ ⟨‖y − z‖²⟩."""
    return 0.5 * ((y - z) ** 2).sum(1).mean()


def sequential(network: Network) -> nn.Sequential:
    """Linear layers with tanh between them where the network has it; weights N(0, 1/n_in), biases 0."""
    modules: list[nn.Module] = []
    for n_in, n in zip(network.widths[:-1], network.widths[1:], strict=True):
        linear = nn.Linear(n_in, n, bias=network.bias)
        nn.init.normal_(linear.weight, std=n_in**-0.5)
        if network.bias:
            nn.init.zeros_(linear.bias)
        modules += [linear, nn.Tanh()] if network.activation == "tanh" else [linear]
    return nn.Sequential(*modules[:-1] if network.activation == "tanh" else modules)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss: Loss, data: Dataset,
    batch_size: int, passes: float,
) -> Iterator[dict[str, float]]:  # fmt: skip
    """A row before the first step, after each tenth of a pass and after the last step."""
    x, y = data.train_x[0], data.train_y[0]
    steps_per_pass = len(x) // batch_size
    last, tenth = max(1, round(passes * steps_per_pass)), max(1, steps_per_pass // 10)
    seconds = 0.0
    yield {"step": 0, "examples_seen": 0, "train_seconds": 0.0} | measure(model, loss, data)
    for step in range(last):
        start = perf_counter()
        if step % steps_per_pass == 0:
            batches = torch.randperm(len(x)).split(batch_size)
        rows = batches[step % steps_per_pass]
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
        seconds += perf_counter() - start
        if (step + 1) % tenth == 0 or step + 1 == last:
            seen = {"step": step + 1, "examples_seen": (step + 1) * batch_size}
            yield seen | {"train_seconds": seconds} | measure(model, loss, data)


@torch.no_grad()
def measure(model: nn.Module, loss: Loss, data: Dataset) -> dict[str, float]:
    """The loss on the test set and, of a classifier, the percentage of wrong classes."""
    x, y = data.test_x[0], data.test_y[0]
    z = model(x)
    measured = {"test_loss": float(loss(z, y))}
    if loss is cross_entropy:
        wrong = z.argmax(1) != y.argmax(1)
        measured["test_error"] = 100 * float(wrong.double().mean())
    return measured


def train_one(
    config: Config, optimizer: str, options: dict[str, Any], batch_size: int, passes: float
) -> Iterator[dict[str, float]]:
    """The rows of a run of `torch.optim.<optimizer>` with all of its `options`."""
    dtype, seed = getattr(torch, config.dtype), config.seed
    data = config.data.dataset(config.arch, config.init.gain, seed).to(dtype, torch.device("cpu"))
    torch.manual_seed(seed)
    model = sequential(config.arch).to(dtype)
    loss = cross_entropy if config.data.targets == "classes" else squared_error
    made = getattr(torch.optim, optimizer)(model.parameters(), **options)
    return train(model, made, loss, data, batch_size, passes)


def main(words: list[str] | None = None) -> None:
    run, letters, options = arguments(__doc__, {"optimizer": "a class of torch.optim"}, 20, words)
    torch.set_num_threads(1)
    setting = as_text(options | {"batch_size": run.batch_size})
    for letter, seed in product(letters, range(run.seeds)):
        config = problem(letter, seed)
        rows = train_one(config, run.optimizer, options, run.batch_size, run.passes)
        curve = told(rows, f"{letter} {run.optimizer} {setting} seed {seed}:")
        add(table(letter, config, f"torch.optim.{run.optimizer}", setting, curve), run.out)


if __name__ == "__main__":
    main()
