"""A run from Python: in memory, with the numbers that `nglab run` would give."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import torch

from nglab.api.configuring import configured
from nglab.data.batches import steps_of
from nglab.data.source import DataSource
from nglab.likelihoods.likelihood import Likelihood
from nglab.networks.layers import Layers
from nglab.networks.network import Network
from nglab.optimizers.optimizer import Optimizer
from nglab.runs.build import build
from nglab.runs.config import Config
from nglab.runs.device import check_device
from nglab.runs.progress import Progress
from nglab.runs.run import columns, describe_row, eval_interval, rows_of
from nglab.training.loop import train as evaluations


class Trained(NamedTuple):
    """`params`, W_1 … W_L as they are at the end, and `metrics`, a row an evaluation with the columns of `metrics.csv`.

    `params, metrics = ng.train(…)` takes them apart.
    """

    params: Layers
    metrics: pd.DataFrame

    def __repr__(self) -> str:
        last = self.metrics.iloc[-1]
        where = f"test loss {last.test_loss:.4g} after {last.passes:g} passes"
        return f"Trained({where}; {len(self.metrics)} rows; {self.params})"


def train(
    network: Network | str,
    data: DataSource | str | Any,
    optimizer: Optimizer | Mapping[str, Any] | str = "ngd",
    *,
    likelihood: Likelihood | str | None = None,
    passes: float | None = None,
    seed: int | None = None,
    gain: float | None = None,
    dtype: str | None = None,
    device: str | None = None,
    eval_every_examples: int | None = None,
    average: float | None = None,
    progress: bool | None = None,
) -> Trained:
    """Minimise h = (1/N) Σ −log r(y | f(x, θ)) by `optimizer`, from what `seed` draws: as `nglab run`, to the last bit.

    `data` is a source (`Teacher()`, `MNIST()`), the name of one, (x, y), (x, y, test_x, test_y) or a `Dataset`: tensors
    or NumPy arrays, x `[N, n_0]`, y `[N, n_L]` or, of classes, whole numbers `[N]`. Without test examples the training
    examples stand for them, and test_loss is theirs. `likelihood` is the density r, Gaussian where it is left out: then
    h = ½ · mean ‖y − x_L‖², summed over outputs; of a categorical one it is in nats. `progress`: a bar, None: only on a
    terminal. What is left out, `passes` and all, is as in conf/config.yaml.

    One rule for precision: a run has one `dtype`, float64 or float32. It is that of the tensors given, which must have
    one among them; with `dtype` whatever is given is converted. Sources have what `nglab run` gives them: float64,
    MNIST float32.

    Returns the parameters, W_i `[n_i, n_{i−1} (+ 1)]`, and the rows as a DataFrame, `train_seconds` in seconds of
    optimisation alone. A run whose loss leaves the finite numbers ends there, with that row.

    Raises InputError, before any work, which names the argument that is wrong.

    Source: Bernacchia et al. (2018), §5 and Figure 1.

    >>> import nglab as ng
    >>> network, data = ng.Network([4, 4, 4]), ng.Teacher(train_examples=1000, test_examples=100)
    >>> params, metrics = ng.train(network, data, ng.NGD(batch_size=100), passes=2, seed=0)
    >>> params
    Layers(2 × [4, 4]; 32 numbers, float64)
    >>> bool(metrics.test_loss.iloc[-1] < 0.5 * metrics.test_loss.iloc[0])
    True
    """
    config = configured(
        arch=network, data=data, optimizer=optimizer, likelihood=likelihood, seed=seed,
        dtype=dtype, device=device, init={"gain": gain},
        train={"passes": passes, "eval_every_examples": eval_every_examples, "average": average},
    )  # fmt: skip
    check_device(config.device)
    return trained(config, progress)


def trained(config: Config, progress: bool | None) -> Trained:
    """Train what `config` names, in memory."""
    problem, rows = build(config), []
    params, passes = problem.params, config.train.passes
    steps = steps_of(passes, config.data.train_examples, config.optimizer.batch_size)
    with Progress(steps, progress) as shown:
        for evaluation in evaluations(problem, passes, eval_interval(config)):
            rows += rows_of(evaluation)
            params = evaluation.params
            shown.update(evaluation.step, describe_row(rows[-1]))
            if not math.isfinite(rows[-1]["test_loss"]):
                break
    return Trained(params.map(torch.clone), pd.DataFrame(rows, columns=list(columns(config))))
