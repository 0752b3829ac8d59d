"""What the scripts share that train outside nglab: the race's problems, and rows in the columns of its `curves.csv`."""

import argparse
import ast
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from nglab.runs.config import Config, check
from nglab.settings.composing import compose

ARCHS = {
    "A": "square",
    "B": "expanding",
    "C": "bottleneck",
    "D": "mnist_autoencoder",
    "K": "mnist_classifier",
}
COLUMNS = (
    "problem", "arch", "widths", "method", "tuned_for", "setting", "seed", "status",
    "minimum_loss", "step", "examples_seen", "passes", "train_seconds",
    "test_loss", "test_error", "times_floor",
)  # fmt: skip


def arguments(
    doc: str | None, first: Mapping[str, str], batch_size: int, words: list[str] | None = None
) -> tuple[argparse.Namespace, list[str], dict[str, Any]]:
    """The command line: its options, the letters of its problems, and what it sets (`key=value`).

    `doc` is the script's, `first` the arguments that stand before the problems, name → help;
    `batch_size` is the default.
    """
    line = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=line)
    for name, meaning in first.items():
        parser.add_argument(name, help=meaning)
    named = ", ".join(f"{letter} {arch}" for letter, arch in ARCHS.items())
    parser.add_argument("what", nargs="+", metavar="problem | key=value", help=named)
    parser.add_argument("--batch-size", type=int, default=batch_size, help="M")
    parser.add_argument("--passes", type=float, default=2, help="over the training set")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0 on")
    parser.add_argument("--out", type=Path, help="CSV to add to: a row each tenth of a pass")
    run = parser.parse_intermixed_args(words)
    pairs = [word.split("=", 1) for word in run.what if "=" in word]
    letters = [word for word in run.what if "=" not in word]
    if wrong := [letter for letter in letters if letter not in ARCHS]:
        parser.error(f"{wrong[0]}: must be one of {', '.join(ARCHS)}, or key=value")
    return run, letters, {key: ast.literal_eval(value) for key, value in pairs}


def as_text(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


def problem(letter: str, seed: int) -> Config:
    """What `nglab run arch=… seed=…` trains: the network, the data, the likelihood, the precision."""
    return check(compose([f"arch={ARCHS[letter]}", f"seed={seed}"]))


def table(
    letter: str, config: Config, method: str, setting: str, rows: list[dict[str, float]]
) -> pd.DataFrame:
    """The curve of one run with all `COLUMNS`.

    `rows` hold step, examples_seen, train_seconds, test_loss and, of a classifier, test_error (percent). The status is
    nglab's: diverged where the loss is not finite or ends above its start.
    """
    first, last = rows[0]["test_loss"], rows[-1]["test_loss"]
    floor = config.data.minimum_loss(config.arch, config.likelihood)
    curve = pd.DataFrame(rows).assign(
        problem=letter,
        arch=ARCHS[letter],
        widths="-".join(map(str, config.arch.widths)),
        method=method,
        tuned_for="none",
        setting=setting,
        seed=config.seed,
        status="finished" if math.isfinite(last) and last <= first else "diverged",
        minimum_loss=math.nan if floor is None else floor,
    )
    curve["passes"] = curve.examples_seen / config.data.train_examples
    curve["times_floor"] = curve.test_loss / curve.minimum_loss
    return curve.reindex(columns=list(COLUMNS))


def told(rows: Iterator[Mapping[str, Any]], title: str) -> list[dict[str, Any]]:
    """The rows of a run, each printed as it comes; none after a loss that is not finite."""
    kept: list[dict[str, Any]] = []
    for row in rows:
        print(title, *(f"{name} {value:.5g}" for name, value in row.items()), flush=True)
        kept.append(dict(row))
        if not math.isfinite(row["test_loss"]):
            break
    return kept


def add(curve: pd.DataFrame, file: Path | None) -> None:
    """Add the rows to the CSV `file`, with a head where it is new."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        head = not file.exists()
        curve.to_csv(file, mode="a", header=head, index=False, float_format="%.6g")
