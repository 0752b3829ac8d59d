"""What a folder holds already of the run that is asked for, and who is at work in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.runs.config import Config, check, timeless
from nglab.runs.status import CHECKPOINT, DONE, status_of


def earlier_status(folder: Path, config: Config) -> str | None:
    """The status of the run in `folder`, None where there is none; InputError where it is another run than `config`."""
    status = status_of(folder)
    if status is not None and not same_run(folder / ".hydra" / "config.yaml", config):
        raise InputError(
            f"{folder} holds a run already, of another configuration (.hydra/config.yaml):"
            " choose another folder"
        )
    return status


def finished(folder: Path, config: Config) -> bool:
    """Whether there is nothing left to do; a checkpoint that a kill at the very end left is removed."""
    done = earlier_status(folder, config) in DONE
    if done:
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return done


def same_run(file: Path, config: Config) -> bool:
    """Whether the configuration in `file` trains what `config` trains.

    An empty file is what a kill leaves while Hydra writes the same configuration over itself.
    """
    if not file.is_file():
        return False
    loaded = OmegaConf.load(file)
    try:
        return not loaded or (
            isinstance(loaded, DictConfig) and timeless(check(loaded)) == timeless(config)
        )
    except InputError:  # written by a program with other settings
        return False


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """InputError where another process works in `folder`; the system frees it when this one ends, however it ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise InputError(f"{folder}: another nglab is at work there") from error
    try:
        yield
    finally:
        os.close(handle)
