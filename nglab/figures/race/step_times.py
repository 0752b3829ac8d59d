"""How long a step of each method takes alone on the machine, kept in a file: a race that goes on uses what it knew."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from nglab.data.dataset import Dataset
from nglab.runs.build import build, dataset_key
from nglab.runs.config import Config
from nglab.runs.folder import whole
from nglab.runs.machine import processor
from nglab.runs.versions import made_with
from nglab.settings.nested import leaves
from nglab.training.step_time import seconds_a_step

COLUMNS = ["problem", "method", "work", "of", "seconds"]
APART = ("seed", "train.", "init.")
"""The settings that change no step's work, beside the real numbers."""


class StepTimes:
    """Seconds a step by problem, method, and what of a setting changes the work, as text (`known`).

    What the file holds of other settings, another machine or other versions is measured anew.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[tuple[str, str, str], float] = {}
        self.kept: dict[tuple[str, str, str, str], float] = {}
        table = pd.read_csv(file, keep_default_na=False) if file.exists() else pd.DataFrame()
        if list(table.columns) == COLUMNS:
            self.kept = {
                (str(p), str(m), str(w), str(of)): float(s)
                for p, m, w, of, s in table.itertuples(index=False)
            }
        self.data: Mapping[str, Dataset] = {}  # that of the last run alone: MNIST is read once

    def of(self, config: Config, key: tuple[str, str, str]) -> float:
        """Measured where it is not known."""
        if key not in self.known:
            one = *key, work_of(config)
            if one not in self.kept:
                self.keep(one, self.measured(config))
            self.known[key] = self.kept[one]
        return self.known[key]

    def measured(self, config: Config) -> float:
        problem = build(config, self.data.get(dataset_key(config)))
        self.data = {dataset_key(config): problem.dataset}
        return seconds_a_step(problem)

    def keep(self, one: tuple[str, str, str, str], seconds: float) -> None:
        self.kept[one] = seconds
        table = pd.DataFrame([(*k, v) for k, v in self.kept.items()], columns=COLUMNS)
        with whole(self.file) as partial:
            table.to_csv(partial, index=False)


def work_of(config: Config) -> str:
    """Equal where a step is the same work by the same machine and versions: twelve digits of a hash."""
    settings = {
        key: 0.0 if isinstance(value, float) else value
        for key, value in leaves(config.described())
        if not key.startswith(APART)
    }
    text = json.dumps([settings, processor(), made_with()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
