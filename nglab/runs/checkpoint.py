"""A run's whole state on disk, so that a killed run goes on, bit for bit, as it would have gone on."""

import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from nglab.errors import InputError
from nglab.runs.checkpoint_file import generations, read_sound, remove, writing
from nglab.runs.damage import reading

log = logging.getLogger(__name__)


class CheckpointFile:
    """What was last written in `folder`, and before that; a `write` is due every so many examples (None: never).

    `identity`, plain data, says whose state it is: another's is not read.
    """

    def __init__(self, folder: Path, identity: object, every: int | None = None) -> None:
        self.folder, self.identity, self.every = folder, identity, every
        self.next = every

    def due(self, examples_seen: int) -> bool:
        """Whether it is time; once it was, the next is so many examples later."""
        if self.every is None or self.next is None or examples_seen < self.next:
            return False
        self.next = examples_seen + self.every
        return True

    def read(self) -> dict[str, Any] | None:
        """What was last written, or where that is damaged what was before; None where nothing was for these runs.

        Raises InputError where nothing that was written is sound.
        """
        files = generations(self.folder)
        for file in files:
            try:
                content = self._content(file)
            except InputError as error:
                if file == files[-1]:
                    raise
                log.warning("%s: the older one is taken", error)
            else:
                return content if content["identity"] == self.identity else None
        return None

    def _content(self, file: Path) -> dict[str, Any]:
        with reading(file):
            content: dict[str, Any] = torch.load(
                read_sound(file), map_location="cpu", weights_only=True
            )
            return content

    def write(self, content: dict[str, Any]) -> None:
        packed = self._packed(content)
        with writing(self.folder) as file:
            file.write(packed)

    def size(self, content: dict[str, Any]) -> int:
        """Bytes that it would take."""
        return len(self._packed(content))

    def _packed(self, content: dict[str, Any]) -> memoryview:
        """In memory first: PyTorch does not say why a file cannot be written."""
        buffer = BytesIO()
        torch.save({"identity": self.identity, **content}, buffer)
        return buffer.getbuffer()

    def remove(self) -> None:
        remove(self.folder)
