"""The files of a checkpoint: two generations, each with a checksum at its end. Told without PyTorch."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from nglab.errors import InputError
from nglab.runs.damage import Fault, reading
from nglab.runs.folder import whole
from nglab.runs.status import CHECKPOINT, OLDER_CHECKPOINT, SPARE

DIGEST_BYTES = hashlib.sha256().digest_size


def generations(folder: Path) -> list[Path]:
    """The checkpoints that there are, the newer first."""
    both = (folder / name for name in (CHECKPOINT, OLDER_CHECKPOINT))
    return [file for file in both if file.exists()]


@contextmanager
def writing(folder: Path) -> Iterator[BinaryIO]:
    """A file that becomes the newer checkpoint, what was the newer the older; a kill at any moment leaves one whole."""
    newer = folder / CHECKPOINT
    with whole(newer) as partial:
        with partial.open("w+b") as file:
            yield file
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").digest()
            file.write(digest)
        if newer.exists():
            os.replace(newer, folder / OLDER_CHECKPOINT)


def read_sound(file: Path) -> BytesIO:
    """What was written; InputError where the checksum is not its own."""
    with reading(file):
        content = memoryview(file.read_bytes())
        written, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
        if hashlib.sha256(written).digest() != digest:
            raise Fault("is damaged (its checksum is another)")
        return BytesIO(written)


def is_sound(file: Path) -> bool:
    try:
        read_sound(file)
    except InputError:
        return False
    return True


def remove(folder: Path) -> None:
    """The newer one last, whatever moment a kill comes at."""
    for name in (SPARE, OLDER_CHECKPOINT, CHECKPOINT):
        (folder / name).unlink(missing_ok=True)
