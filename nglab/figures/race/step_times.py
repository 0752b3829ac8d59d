"""How long a step of each method takes alone on the machine, kept in a file: a race that goes on uses what it knew."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from nglab.data.dataset import Dataset
from nglab.runs.build import build, dataset_key
from nglab.runs.config import Config
from nglab.runs.folder import whole
from nglab.training.step_time import seconds_a_step

COLUMNS = ["problem", "method", "work", "seconds"]


class StepTimes:
    """Seconds a step by problem, method, and what of a setting changes the work, as text."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[tuple[str, str, str], float] = {}
        if file.exists():
            table = pd.read_csv(file, keep_default_na=False)
            self.known = {
                (str(p), str(m), str(w)): float(s) for p, m, w, s in table.itertuples(index=False)
            }
        self.data: Mapping[str, Dataset] = {}  # that of the last run alone: MNIST is read once

    def of(self, config: Config, key: tuple[str, str, str]) -> float:
        """Measured where it is not known."""
        if key not in self.known:
            problem = build(config, self.data.get(dataset_key(config)))
            self.data = {dataset_key(config): problem.dataset}
            self.known[key] = seconds_a_step(problem)
            table = pd.DataFrame([(*k, v) for k, v in self.known.items()], columns=COLUMNS)
            with whole(self.file) as partial:
                table.to_csv(partial, index=False)
        return self.known[key]
