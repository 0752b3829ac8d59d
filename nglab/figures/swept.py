"""Runs that a figure asks for, trained in stacks: a row of a table each, with what became of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from nglab.figures.race.compute_race import LAUNCHER
from nglab.figures.race.race_protocol import Target
from nglab.figures.race.race_tables import final_value, first_time, with_floor
from nglab.runs.folder import FLOOR_FACTOR, whole
from nglab.runs.outputs import check_folder
from nglab.runs.table import read_metrics, read_summary
from nglab.sweeps.asked import asking
from nglab.sweeps.job import Job

log = logging.getLogger(__name__)

FLOOR = Target("times_floor", FLOOR_FACTOR)
KINDS = ("csv", "md", "png", "pdf", "svg")


@dataclass(frozen=True)
class Trial:
    """One run: its folder below the figure's, its overrides of `nglab run`, and what its row says of it."""

    place: str
    words: list[str]
    about: dict[str, Any]


def swept(trials: Sequence[Trial], folder: Path) -> pd.DataFrame:
    """Train those that are not finished yet, below `folder/runs`; a row a trial: `about`, then what became of it.

    `layers` (L), `train_examples`, `status`, `final_test_loss` (∞ where it diverged), `minimum_loss`, and the `steps`
    and `examples` until the test loss was 1.1 × minimum_loss: ∞ where never, or where there is none.
    """
    with asking(folder, LAUNCHER) as jobs:
        asked = [jobs.job(f"runs/{one.place}", one.words) for one in trials]
        log.info("%d runs", len(asked))
        jobs.launch(asked)
    rows = [one.about | became(job) for one, job in zip(trials, asked, strict=True)]
    return pd.DataFrame(rows)


def became(job: Job) -> dict[str, Any]:
    """What a finished run left."""
    summary = read_summary(job.folder)
    minimum, status = summary["minimum_loss"], summary["status"]
    rows = with_floor(read_metrics(job.folder / "metrics.csv"), minimum)
    reached = first_time(rows, FLOOR)
    return {
        "layers": job.config.arch.depth,
        "train_examples": job.config.data.train_examples,
        "status": status,
        "final_test_loss": final_value(rows, "test_loss", status),
        "minimum_loss": rows.minimum_loss.iloc[0],
        "steps": reached["steps"],
        "examples": reached["examples"],
    }


@dataclass(frozen=True)
class SweptFigure:
    """A figure of such runs: the name of its files, what draws it, what makes the page of its numbers."""

    stem: str
    draw: Callable[[pd.DataFrame, Path], list[Path]]
    page: Callable[[pd.DataFrame], str]

    def make(self, trials: Sequence[Trial], folder: Path) -> list[Path]:
        """Train what is missing below `folder` and write the files there; returns them.

        Raises InputError where one of them could not be written.
        """
        check_folder(folder, *(f"{self.stem}.{kind}" for kind in KINDS))
        return self.write(swept(trials, folder), folder)

    def write(self, runs: pd.DataFrame, folder: Path) -> list[Path]:
        table, page = folder / f"{self.stem}.csv", folder / f"{self.stem}.md"
        with whole(table) as partial:
            runs.to_csv(partial, index=False)
        page.write_text(self.page(runs))
        return [*self.draw(runs, folder / self.stem), table, page]
