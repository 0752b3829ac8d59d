"""A run's whole state on disk, so that a killed run goes on, bit for bit, as it would have gone on."""

from pathlib import Path
from typing import Any

import torch

from nglab.runs.folder import whole


class CheckpointFile:
    """One file, replaced whole at each `write`, which is due every so many examples (None: never).

    `identity`, plain data, says whose state it is: another's is not read.
    """

    def __init__(self, path: Path, identity: object, every: int | None = None) -> None:
        self.path, self.identity, self.every = path, identity, every
        self.next = every

    def due(self, examples_seen: int) -> bool:
        """Whether it is time; once it was, the next is so many examples later."""
        if self.every is None or self.next is None or examples_seen < self.next:
            return False
        self.next = examples_seen + self.every
        return True

    def read(self) -> dict[str, Any] | None:
        """What was last written; None where nothing was, or not for these runs."""
        if not self.path.exists():
            return None
        content = torch.load(self.path, map_location="cpu", weights_only=True)
        return content if content["identity"] == self.identity else None

    def write(self, content: dict[str, Any]) -> None:
        with whole(self.path) as partial:
            torch.save({"identity": self.identity, **content}, partial)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
