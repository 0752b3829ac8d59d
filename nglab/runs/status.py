"""What became of a run, as its folder says."""

import json
from pathlib import Path
from typing import Any

CHECKPOINT = "checkpoint.pt"
"""The file in a run's folder from which it goes on; gone when the run is done."""

DONE = ("finished", "diverged")
"""The statuses of a run that is a result: never written over, and not trained again."""


def status_of(folder: Path) -> str | None:
    """The status of the run in `folder`, "unfinished" while it goes on or after a kill; None where there is none."""
    if not (folder / "metrics.csv").exists():
        return None
    return str(read_summary(folder).get("status"))


def read_summary(folder: Path) -> dict[str, Any]:
    file = folder / "summary.json"
    return json.loads(file.read_text()) if file.exists() else {"status": "unfinished"}
