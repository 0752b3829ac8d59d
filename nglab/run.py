"""Configuration → objects → training → records. Below this module no configuration object is seen."""

import logging
import subprocess
import time
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from nglab import __version__
from nglab.config import Config, MnistConfig, NGDConfig, SGDConfig, TeacherConfig
from nglab.damping import LevenbergMarquardt
from nglab.data.dataset import Dataset
from nglab.data.teacher import input_covariance_root, teacher_dataset
from nglab.figures.plot import save_loss_figure
from nglab.networks import Network, random_parameters
from nglab.optimizers.base import Optimizer
from nglab.optimizers.ngd import NGD
from nglab.optimizers.ngd_exact import NGDExact
from nglab.optimizers.sgd import SGD
from nglab.randomness import stream
from nglab.records import MetricsWriter, outcome, write_json
from nglab.stack import stack
from nglab.train import Evaluation, Problem, train

log = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 10


def run(config: Config, folder: Path, progress: bool | None = None) -> dict[str, Any]:
    """Train what `config` names and leave `metrics.csv`, `summary.json` and `loss.png` in `folder`.

    Returns the summary. A run whose loss leaves the finite numbers, or ends above its start, has status "diverged".
    An interrupted or failing run leaves its rows and its status, then raises. `progress`: a bar on the terminal
    (None: only where there is one). Raises InputError, before any work, where the folder holds a result already.
    """
    writer = MetricsWriter(folder)
    status, minimum_loss, extra = "failed", None, circumstances(config)
    try:
        problem = build(config)
        minimum_loss = problem.dataset.minimum_loss
        status = train_and_write(problem, config, writer, progress)
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except BaseException:
        extra["traceback"] = traceback.format_exc()
        raise
    finally:
        writer.close()
        metrics = pd.DataFrame(writer.rows, dtype=float)
        reached = outcome(metrics, minimum_loss) if len(metrics) else {}
        summary = {"status": status, **reached, **extra}
        write_json(folder / "summary.json", summary)
    save_loss_figure(metrics, minimum_loss, folder / "loss.png")
    log.info("%s: test loss %.4g, %s", status, metrics.test_loss.iloc[-1], folder)
    return summary


def train_and_write(
    problem: Problem, config: Config, writer: MetricsWriter, progress: bool | None
) -> str:
    """Train, a row an evaluation; returns "finished" or "diverged"."""
    steps = round(
        config.train.passes * problem.dataset.train_x.shape[1] / config.optimizer.batch_size
    )
    disable = None if progress is None else not progress
    next_line = time.monotonic() + LOG_EVERY_SECONDS
    with tqdm(total=steps, unit="step", disable=disable) as bar:
        for evaluation in train(problem, config.train.passes, eval_interval(config)):
            row = row_of(evaluation, config.optimizer.lr)
            writer.write(row)
            bar.update(evaluation.step - bar.n)
            bar.set_postfix_str(describe(row))
            if bar.disable and time.monotonic() > next_line:
                next_line = time.monotonic() + LOG_EVERY_SECONDS
                log.info("step %d of %d: %s", evaluation.step, steps, describe(row))
            if not evaluation.test_loss.isfinite():
                return "diverged"
    return "diverged" if row["test_loss"] > writer.rows[0]["test_loss"] else "finished"


def row_of(evaluation: Evaluation, learning_rate: float) -> dict[str, float]:
    """A row of `metrics.csv` from an evaluation of one network."""
    return {
        "step": evaluation.step,
        "examples_seen": evaluation.examples_seen,
        "passes": evaluation.passes,
        "train_seconds": evaluation.train_seconds,
        "train_loss": float(evaluation.train_loss),
        "test_loss": float(evaluation.test_loss),
        "learning_rate": learning_rate,
        **{name: float(value) for name, value in evaluation.diagnostics.items()},
    }


def describe(row: dict[str, float]) -> str:
    damping = f" λ {row['damping']:.2g}" if "damping" in row else ""
    return f"loss {row['test_loss']:.4g} α {row['learning_rate']:g}{damping}"


def eval_interval(config: Config) -> int:
    """Examples between two evaluations: as configured, else a tenth of the training set."""
    return config.train.eval_every_examples or max(1, config.data.train_examples // 10)


def build(config: Config, dataset: Dataset | None = None) -> Problem:
    """The objects that a configuration names; `dataset` where it has been made already."""
    device, dtype = resolve_device(config.device), getattr(torch, config.dtype)
    network = Network(tuple(config.arch.widths), config.arch.activation, config.arch.bias)
    student = random_parameters(network, config.init.gain, stream(config.seed, "student"))
    return Problem(
        network=network,
        dataset=dataset or build_dataset(config, network).to(dtype, device),
        params=student.map(lambda stack: stack.to(device, dtype)),
        optimizer=build_optimizer(config),
        streams=lambda purpose: [
            stream(config.seed, purpose, device if purpose == "sampled targets" else "cpu")
        ],
    )


def build_stack(configs: Sequence[Config]) -> Problem:
    """The problems of several configurations as one, with a replica axis; each distinct data set is made once."""
    datasets: dict[str, Dataset] = {}
    problems = []
    for config in configs:
        seed = (
            None
            if isinstance(config.data, MnistConfig)
            else (config.seed, config.arch, config.init)
        )
        key = repr((config.data, seed))
        problems.append(build(config, datasets.get(key)))
        datasets[key] = problems[-1].dataset
    return stack(problems)


def build_dataset(config: Config, network: Network) -> Dataset:
    data = config.data
    if isinstance(data, MnistConfig):
        from nglab.data.mnist import load  # torchvision takes seconds to import

        train_x, test_x = load(data.root, data.train_examples, data.test_examples, torch.float32)
        train_x, test_x = train_x.unsqueeze(0), test_x.unsqueeze(0)
        return Dataset(train_x, train_x, test_x, test_x, None)
    return teacher_dataset(
        network,
        config.seed,
        data.train_examples,
        data.test_examples,
        data.noise_variance,
        data.spectrum_decay,
        config.init.gain,
    )


def build_optimizer(config: Config) -> Optimizer:
    chosen = config.optimizer
    if isinstance(chosen, SGDConfig):
        return SGD(chosen.lr, chosen.batch_size)
    rule = LevenbergMarquardt(chosen.damping.initial, chosen.damping.min)
    if isinstance(chosen, NGDConfig):
        return NGD(chosen.lr, chosen.batch_size, chosen.samples, rule, chosen.damping.split)
    moment = input_moment(config) if chosen.statistics == "population" else None
    return NGDExact(chosen.lr, chosen.batch_size, chosen.form, chosen.cutoff, rule, moment)


def input_moment(config: Config) -> Tensor:
    """Σ of the teacher data's inputs, `[n_0, n_0]`."""
    assert isinstance(config.data, TeacherConfig)
    generator = stream(config.seed, "covariance")
    root = input_covariance_root(config.arch.widths[0], config.data.spectrum_decay, generator)
    return root @ root.mT


def resolve_device(name: str) -> torch.device:
    """ "auto" is a GPU where there is one."""
    return torch.device(
        ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    )


def circumstances(config: Config) -> dict[str, Any]:
    """Where and with what a run was made."""
    device = resolve_device(config.device)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "dtype": config.dtype,
        "seed": config.seed,
        "versions": {
            "nglab": __version__,
            **{name: version(name) for name in ("torch", "hydra-core", "numpy")},
        },
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """The commit of the source tree that runs, "+changes" where the tree differs from it; None outside a checkout."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    options = ["describe", "--always", "--abbrev=12", "--dirty=+changes", "--exclude=*"]
    command = ["git", "-C", str(root), *options]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
