"""Runs read back, one or many."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from nglab.errors import InputError
from nglab.runs.ownership import read_owner
from nglab.runs.status import OWNER, read_summary


@dataclass(frozen=True)
class RunRecord:
    """A run read back: its resolved configuration, its rows and its summary."""

    folder: Path
    config: DictConfig
    metrics: pd.DataFrame
    summary: dict[str, Any]

    def __repr__(self) -> str:
        loss, rows = self.summary.get("final_test_loss"), len(self.metrics)
        return f"RunRecord({self.folder}: {self.summary['status']}, {rows} rows, test loss {loss})"


def read_run(folder: Path) -> RunRecord:
    """Read one run folder. A run still going, or killed, has a summary whose status is "unfinished"."""
    try:
        metrics = read_metrics(folder / "metrics.csv")
        summary = read_summary(folder)
        config = read_config(folder)
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename} is missing: {folder} is not a whole run folder"
        ) from error
    except (ValueError, YAMLError) as error:
        raise InputError(f"{folder} cannot be read as a run: {error}") from error
    return RunRecord(folder, config, metrics, summary)


def read_config(folder: Path) -> DictConfig:
    """What the run wrote down at its start; of runs made before they did so, what Hydra wrote."""
    if (folder / OWNER).exists():
        return OmegaConf.create(read_owner(folder)["config"])
    file = folder / ".hydra" / "config.yaml"
    config = OmegaConf.load(file)
    if not isinstance(config, DictConfig):
        raise InputError(f"{file} is not a mapping of keys to values")
    return config


def read_metrics(path: Path) -> pd.DataFrame:
    """The whole rows: of a last line that a killed writer left without its end, nothing is taken."""
    text = path.read_text()
    return pd.read_csv(StringIO(text[: text.rfind("\n") + 1]))


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Every folder at or below `paths` that holds `metrics.csv`, sorted by path, numbers by value."""
    found: set[Path] = set()
    for path in map(Path, paths):
        if not os.path.isdir(path):
            raise InputError(f"{path} is not a folder: give a run's folder, or one that holds runs")
        below = {file.parent for file in path.rglob("metrics.csv")}
        if not below:
            raise InputError(f"{path} holds no run: no metrics.csv at or below it")
        found |= below
    return sorted(
        found, key=lambda p: [(0, int(s), "") if s.isdigit() else (1, 0, s) for s in p.parts]
    )
