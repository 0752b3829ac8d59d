"""Whose a folder is. A run writes it down in `run.json`, before anything else is written there.

`run.json` holds the resolved configuration, what the run is made with and the time of the start. It is made once, whole
or not at all: of two processes that take a folder at the same time, one has it. Nothing is concluded from other files.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from nglab.errors import InputError
from nglab.runs.picture import draw_missing
from nglab.runs.status import CHECKPOINT, DONE, OWNER, RESULTS, status_of
from nglab.runs.versions import made_with
from nglab.settings.nested import leaves

SECONDS_TO_END = 1.0

Settings = Mapping[str, Any]
"""A run's configuration as plain values, `Config.described`."""


def take(folder: Path, settings: Settings) -> None:
    """Make `folder` that of the run of `settings`, unless it is; raises as `standing` does."""
    folder.mkdir(parents=True, exist_ok=True)
    new = standing(folder, settings) is None and not (folder / OWNER).exists()
    if new and not write_owner(folder, settings):  # another process was faster
        standing(folder, settings)


def standing(folder: Path, settings: Settings) -> str | None:
    """The status of the run of `settings` in `folder`; None where it has left no result yet.

    Raises InputError where the folder is another run's, where it is not said whose, or where the run was stopped under
    other versions and would go on from a checkpoint.
    """
    strays = [name for name in (*RESULTS, ".hydra") if (folder / name).exists()]  # looked at first
    if not (folder / OWNER).exists():
        if strays:
            raise InputError(
                f"{folder} holds a run already, which does not say whose it is ({', '.join(strays)}"
                f" without {OWNER}): choose another folder"
            )
        return None
    owner, status = read_owner(folder), status_of(folder)
    if other := differences(timeless(owner["config"]), timeless(settings)):
        raise InputError(
            f"{folder} holds a run already, of another configuration ({'; '.join(other[:3])}):"
            " choose another folder"
        )
    stopped = status not in DONE and (folder / CHECKPOINT).exists()
    if stopped and (changed := differences(owner["versions"], made_with())):
        raise InputError(
            f"{folder} holds a stopped run of other versions ({'; '.join(changed)}):"
            " go on with those, or choose another folder"
        )
    return status


def may_begin(folder: Path, settings: Settings, again: bool) -> None:
    """InputError where `folder` holds a run, be it another or one that cannot go on.

    A sweep takes up what it left there (`again`); a run does so where it has checkpoints, or a signal made one.
    """
    status = standing(folder, settings)
    saved = settings["train"]["checkpoint_every"] or (folder / CHECKPOINT).exists()
    if status is not None and not (again or saved):
        raise InputError(f"{folder} holds a run already ({status}): choose another folder")


def finished(folder: Path, settings: Settings) -> bool:
    """Whether there is nothing left to train.

    Where a kill at the very end left a checkpoint it is removed, where it left out the picture that is drawn.
    """
    done = standing(folder, settings) in DONE
    if done:
        draw_missing(folder)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    return done


def write_owner(folder: Path, settings: Settings, anew: bool = False) -> bool:
    """Write `run.json` where there is none; `anew`: in place of that of the same run, which begins again.

    False where another process has written it meanwhile.
    """
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    content = {"config": settings, "versions": made_with(), "started": started}
    partial = folder / f"run.{os.getpid()}.partial.json"
    partial.write_text(json.dumps(content, indent=2) + "\n")
    try:
        if anew:
            os.replace(partial, folder / OWNER)
        else:
            os.link(partial, folder / OWNER)
        return True
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)


def read_owner(folder: Path) -> dict[str, Any]:
    file = folder / OWNER
    try:
        content = json.loads(file.read_text())
        return {"config": dict(content["config"]), "versions": dict(content["versions"])}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error})") from error


def differences(there: Settings, here: Settings) -> list[str]:
    """Where two configurations differ: ["optimizer.lr=0.1, here 0.2"]."""
    a, b = as_json_has_it(there), as_json_has_it(here)
    return [
        f"{key}={a.get(key)}, here {b.get(key)}" for key in {**a, **b} if a.get(key) != b.get(key)
    ]


def as_json_has_it(settings: Settings) -> dict[str, Any]:
    """Dotted keys; a tuple is a list."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in leaves(settings)}


def timeless(settings: Settings) -> dict[str, Any]:
    """A configuration less what does not change a result: how often its state is saved."""
    return {**settings, "train": {**settings["train"], "checkpoint_every": None}}


@contextmanager
def working_in(folders: Sequence[Path], settings: Sequence[Settings]) -> Iterator[None]:
    """The folders are these runs' and no other process's meanwhile; InputError where one is not or holds a result."""
    with ExitStack() as held:
        for folder, own in zip(folders, settings, strict=True):
            take(folder, own)
            held.enter_context(alone_in(folder))
            status = standing(folder, own)
            if status in DONE:
                raise InputError(
                    f"{folder} holds a run already ({status}), which is never written over:"
                    " choose another folder"
                )
        yield


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """InputError where another process works in `folder`; the system frees it when this one ends, however it ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        if not locked(handle):
            raise InputError(f"{folder}: another nglab is at work there")
        yield
    finally:
        os.close(handle)


def at_work(folder: Path) -> bool:
    """Whether a process has `folder` for itself just now."""
    if not folder.exists():
        return False
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)


def locked(handle: int) -> bool:
    """Lock an open folder, within the second that a process killed just now, or its workers, may take to end."""
    until = time.monotonic() + SECONDS_TO_END
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
