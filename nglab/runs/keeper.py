"""What runs are at, kept on disk: now and then, when a signal asks them to end, and when the disk is full."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from nglab.runs.checkpoint import CheckpointFile
from nglab.runs.folder import RecordWriter
from nglab.runs.signals import Signals
from nglab.runs.status import SPARE

Snapshot = Callable[[], dict[str, Any]]
"""What makes the training's state, good until the next step."""

MORE_BYTES = 2**20
"""Beside the state: rows to come, the summaries."""


class Keeper:
    """Of the runs of `records`, which are trained together; their state lies with the first."""

    def __init__(
        self, checkpoint: CheckpointFile, records: Sequence[RecordWriter], signals: Signals
    ) -> None:
        self.checkpoint, self.records, self.signals = checkpoint, records, signals
        self.spare = checkpoint.folder / SPARE
        self.roomy = False

    def save(self, snapshot: Snapshot) -> None:
        loop = snapshot()
        rows = [record.rows for record in self.records]
        self.checkpoint.write({"loop": loop, "rows": rows})

    def between(self, snapshot: Snapshot) -> None:
        """Where a signal has come: save, and hand it on."""
        if self.signals.came:
            with self.saving_when_full(snapshot):
                self.save(snapshot)
            self.signals.hand_on()

    @contextmanager
    def saving_when_full(self, snapshot: Snapshot) -> Iterator[None]:
        """Where something cannot be written inside, the state is, in the room kept for it."""
        try:
            self.keep_room(snapshot)
            yield
        except OSError:
            self.give_room()
            with suppress(OSError):
                self.save(snapshot)
            raise

    def keep_room(self, snapshot: Snapshot) -> None:
        """As much as a checkpoint takes, once."""
        if self.roomy or not hasattr(os, "posix_fallocate"):
            return
        self.roomy = True
        size = self.checkpoint.size({"loop": snapshot()})
        with self.spare.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size + MORE_BYTES)

    def give_room(self) -> None:
        self.spare.unlink(missing_ok=True)
