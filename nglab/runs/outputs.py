"""Where a command writes: looked at before any work, by every command alike.

What a run has left is never the target of another output.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

from nglab.errors import InputError
from nglab.runs.folder import whole
from nglab.runs.status import OWNER, RESULTS

PROBE = bytes(2**16)
"""Written and gone again: on a full disk it cannot be."""


def check_folder(folder: Path, *files: str) -> None:
    """InputError where `folder` cannot be made or written to, or holds folders in the place of `files`."""
    place = folder.absolute()
    nearest = next(path for path in (place, *place.parents) if os.path.lexists(path))
    try:
        for part in place.relative_to(nearest).parts:
            with suppress(FileNotFoundError):
                os.lstat(nearest / part)  # a name that is too long
        for name in files:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.lstat(place / name)
        with TemporaryFile(dir=nearest, buffering=0) as file:  # nameless: nothing is left
            file.write(PROBE)
    except OSError as error:
        what = f"{shown(place)} cannot be made: " if nearest != place else ""
        right = "give a folder that can be written to"
        raise InputError(f"out: {what}{shown(nearest)}: {error.strerror}; {right}") from error
    for name in files:
        if os.path.isdir(folder / name):
            raise InputError(f"out: {folder / name} is a folder, not a file: choose another out")


def check_file(file: Path) -> None:
    """InputError where `file` cannot be written, or lies among what a run has left."""
    there, special = os.path.exists(file), not (os.path.isfile(file) or os.path.isdir(file))
    if there and special:
        return  # a pipe, a terminal
    check_folder(file.parent, file.name)
    if run := run_around(file):
        raise InputError(f"out: {file} lies in the folder of a run, {run}: give a file elsewhere")
    if there and not os.access(file, os.W_OK):
        raise InputError(f"out: {file} is read-only: give another file")


def check_new(folder: Path) -> None:
    """InputError where `folder` cannot be made, holds something already, or lies in the folder of a run."""
    check_folder(folder)
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"out: {folder} holds something already: give a new folder")
    if run := run_around(folder):
        raise InputError(
            f"out: {folder} lies in the folder of a run, {run}: give a folder elsewhere"
        )


@contextmanager
def writing(file: Path) -> Iterator[TextIO]:
    """`file`, checked already, to write text to; it has the whole of it or what it had before."""
    if os.path.exists(file) and not file.is_file():
        with file.open("w", encoding="utf-8", newline="") as opened:
            yield opened
        return
    target = file.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole(target) as partial:
        try:
            with partial.open("w", encoding="utf-8", newline="") as opened:
                yield opened
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def run_around(file: Path) -> Path | None:
    """The folder of the run that `file` would lie in."""
    folder = file.resolve().parent
    folder = folder.parent if folder.name == ".hydra" else folder
    return folder if any((folder / name).exists() for name in (OWNER, *RESULTS)) else None


def shown(path: Path) -> str:
    """A path as a message can have it."""
    text = str(path)
    return text if len(text) <= 100 else f"{text[:50]}…{text[-50:]}"
