"""What came out of a run as one number, the less the better: what a job returns, and what a sweeper goes by."""

import math
from pathlib import Path
from typing import Literal

from hydra.core.utils import JobReturn, JobStatus

from nglab.runs.table import read_summary

Objective = Literal["final_test_loss", "best_test_loss", "examples_to_floor", "seconds_to_floor"]
"""Numbers of `summary.json`; losses are means over examples of −log r(y|z)."""


def outcome_of(folder: Path, objective: Objective = "final_test_loss") -> float:
    """Of the run in `folder`; infinite where it diverged, or did not get to the floor that is asked for."""
    summary = read_summary(folder)
    value = summary.get(objective)
    return math.inf if summary["status"] == "diverged" or value is None else float(value)


def with_outcome(result: JobReturn, folder: Path) -> JobReturn:
    """What a launcher returns of the job in `folder`: where it has not failed, the outcome."""
    if result.status == JobStatus.COMPLETED:
        result.return_value = outcome_of(folder)
    return result
