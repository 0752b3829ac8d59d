"""What became of a run, as its folder says."""

import json
from pathlib import Path
from typing import Any

OWNER = "run.json"
"""The first file of a run: whose folder it is, nglab/runs/ownership.py."""

CHECKPOINT = "checkpoint.pt"
"""The file in a run's folder from which it goes on; gone when the run is done."""

RESULTS = ("metrics.csv", "summary.json", CHECKPOINT)
"""What a run leaves that another would destroy."""

DONE = ("finished", "diverged")
"""The statuses of a run that is a result: never written over, and not trained again."""


def status_of(folder: Path) -> str | None:
    """The status of the run in `folder`, "unfinished" while it goes on or after a kill; None where it left nothing."""
    if not any((folder / name).exists() for name in RESULTS):
        return None
    return str(read_summary(folder).get("status"))


def read_summary(folder: Path) -> dict[str, Any]:
    file = folder / "summary.json"
    return json.loads(file.read_text()) if file.exists() else {"status": "unfinished"}
