"""Small run folders as `nglab run` leaves them, their losses made up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from omegaconf import OmegaConf

CONFIG = {
    "arch": {"name": "square", "widths": [20] * 17, "activation": "identity", "bias": False},
    "data": {"name": "teacher", "train_examples": 10000, "noise_variance": 1e-6},
    "optimizer": {"name": "sgd", "lr": 0.04, "batch_size": 20},
    "init": {"gain": 1.0},
    "train": {"passes": 1, "eval_every_examples": None},
    "seed": 0,
    "dtype": "float64",
}
NGD = {"name": "ngd", "lr": 1.0, "batch_size": 1000, "samples": 1, "damping": {"initial": 0.01}}

WriteRun = Callable[..., Path]


def metrics_of(losses: list[float], every: int = 1000, batch: int = 20) -> pd.DataFrame:
    """Rows at 0, `every`, 2 × `every`, … examples, a second apart."""
    n = range(len(losses))
    return pd.DataFrame(
        {
            "step": [i * every // batch for i in n],
            "examples_seen": [i * every for i in n],
            "passes": [i * every / 10000 for i in n],
            "train_seconds": [float(i) for i in n],
            "train_loss": losses,
            "test_loss": losses,
            "learning_rate": 0.04,
        }
    )


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Writes `tmp_path / name` and returns it: `write_run("a", [4, 1], {"optimizer.lr": 0.08})`."""

    def write(
        name: str,
        losses: list[float],
        changes: dict[str, Any] | None = None,
        status: str | None = "finished",
        minimum_loss: float | None = 1e-5,
        optimizer: dict[str, Any] | None = None,
    ) -> Path:
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        config = OmegaConf.create({**CONFIG, "optimizer": optimizer or CONFIG["optimizer"]})
        for key, value in (changes or {}).items():
            OmegaConf.update(config, key, value)
        OmegaConf.save(config, folder / ".hydra" / "config.yaml")
        OmegaConf.save(OmegaConf.create([]), folder / ".hydra" / "overrides.yaml")
        metrics_of(losses).to_csv(folder / "metrics.csv", index=False)
        if status:
            summary = {
                "status": status,
                "minimum_loss": minimum_loss,
                "device": "cpu",
                "versions": {"nglab": "0"},
            }
            (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write
