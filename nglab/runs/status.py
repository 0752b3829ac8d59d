"""What a run leaves in its folder, by name, and what its status can be."""

OWNER = "run.json"
"""The first file of a run: whose folder it is, nglab/runs/ownership.py."""

CHECKPOINT, OLDER_CHECKPOINT = "checkpoint.pt", "checkpoint.older.pt"
"""The files in a run's folder from which it goes on; gone when the run is done."""

SPARE = "spare"
"""Room on the disk for one more checkpoint, while a run is at work."""

RESULTS = ("metrics.csv", "summary.json", CHECKPOINT, OLDER_CHECKPOINT)
"""What a run leaves that another would destroy."""

PICTURE = "loss.png"
"""Drawn from the rest, and drawn again where it is missing."""

DONE = ("finished", "diverged")
"""The statuses of a run that is a result: never written over, and not trained again."""
