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
from nglab.runs.checkpoint_file import generations, is_sound, remove
from nglab.runs.damage import reading
from nglab.runs.status import DONE, OWNER, PICTURE, RESULTS
from nglab.runs.table import read_owner, read_rows, read_summary, status_of
from nglab.runs.versions import made_with
from nglab.settings.nested import leaves

SECONDS_TO_END = 1.0


class ForeignRun(InputError):
    """A folder holds the run of another configuration, or one that does not say whose it is."""

    def __init__(self, held: str) -> None:
        super().__init__(f"{held}: choose another folder")
        self.held = held


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

    Raises InputError where the folder is another run's, where it is not said whose, where a file that says so is
    damaged, or where the run was stopped and does not go on of itself, unless `train.resume` says what to do.
    """
    with reading(folder):
        return standing_of(folder, settings)


def standing_of(folder: Path, settings: Settings) -> str | None:
    strays = [name for name in (*RESULTS, ".hydra") if (folder / name).exists()]  # looked at first
    if not (folder / OWNER).exists():
        if strays:
            raise ForeignRun(
                f"{folder} holds a run already, which does not say whose it is ({', '.join(strays)}"
                f" without {OWNER})"
            )
        return None
    owner, status = read_owner(folder), status_of(folder)
    if other := differences(timeless(owner["config"]), timeless(settings)):
        raise ForeignRun(
            f"{folder} holds a run already, of another configuration ({'; '.join(other[:3])})"
        )
    asks = status not in DONE and settings["train"]["resume"] == "ask"
    if asks and (why := obstacle(folder)):
        raise InputError(f"{folder} holds a stopped run {why}, or choose another folder")
    return status


def obstacle(folder: Path) -> str:
    """Why the stopped run in `folder` does not go on of itself from the checkpoint that it has; "" where it does."""
    if not (files := generations(folder)):
        return ""
    if changed := differences(read_owner(folder)["versions"], made_with()):
        return (
            f"of other versions ({'; '.join(changed)}): go on with those, or say train.resume=anyway"
            " (from its checkpoint) or train.resume=anew (from the start)"
        )
    if any(map(is_sound, files)):
        return ""
    names = " and ".join(file.name for file in files)
    return f"with a damaged checkpoint ({names}): say train.resume=anew (from the start)"


def begins_anew(folder: Path, settings: Settings) -> bool:
    """Whether the stopped run in `folder` is to leave its checkpoint, as `train.resume` may say of one that asks."""
    return settings["train"]["resume"] == "anew" and obstacle(folder) != ""


def may_begin(folder: Path, settings: Settings, again: bool) -> None:
    """InputError where `folder` holds a run, be it another or one that cannot go on.

    A sweep takes up what it left there (`again`); a run does so where it has checkpoints, or a signal made one.
    """
    status = standing(folder, settings)
    saved = settings["train"]["checkpoint_every"] or generations(folder)
    if status is not None and not (again or saved):
        raise InputError(f"{folder} holds a run already ({status}): choose another folder")


def finished(folder: Path, settings: Settings) -> bool:
    """Whether there is nothing left to train.

    Where a kill at the very end left a checkpoint it is removed, where it left out the picture that is drawn.
    """
    done = standing(folder, settings) in DONE
    if done:
        if not (folder / PICTURE).exists():
            draw_from_files(folder)
        remove(folder)
    return done


def draw_from_files(folder: Path) -> None:
    """The picture of a run that was killed between its summary and its picture."""
    from nglab.runs.picture import draw  # matplotlib

    summary = read_summary(folder)
    draw(folder, read_rows(folder), summary.get("minimum_loss"), summary)


def write_owner(
    folder: Path, settings: Settings, anew: bool = False, facts: Settings | None = None
) -> bool:
    """Write `run.json` where there is none; `anew`: in place of that of the same run, which begins again.

    `facts` are what the summary will say beside the outcome, once they are known.
    False where another process has written it meanwhile.
    """
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    content = {
        "config": settings,
        "versions": made_with(),
        "started": started,
        "facts": facts or {},
    }
    partial = folder / f"run.{os.getpid()}.partial.json"
    try:
        partial.write_text(json.dumps(content, indent=2) + "\n")
        if anew:
            os.replace(partial, folder / OWNER)
        else:
            os.link(partial, folder / OWNER)
        return True
    except FileExistsError:
        return False
    finally:
        partial.unlink(missing_ok=True)


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
    """A configuration less what does not change a result: how often its state is saved, how it is taken up."""
    train = {**settings["train"], "checkpoint_every": None, "resume": None}
    return {**settings, "train": train}


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
