"""Whether what a run left is whole, unfinished or damaged, and what is to be done where it is not whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nglab.errors import InputError
from nglab.runs.checkpoint_file import generations, is_sound, read_sound
from nglab.runs.damage import Fault, reading
from nglab.runs.ownership import obstacle
from nglab.runs.status import DONE, OWNER, PICTURE, RESULTS
from nglab.runs.table import (
    by_number,
    folders_with,
    read_columns,
    read_settings,
    read_summary,
    status_of,
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """A run's folder, its state ("whole", "unfinished" or "damaged"), and what there is to say."""

    folder: Path
    state: str
    what: str


def findings(paths: Iterable[Path]) -> Iterator[Finding]:
    """Every run at or below `paths`, and every folder that cannot be looked into."""
    found = {place for path in paths for place in folders_with((OWNER, *RESULTS), path)}
    return map(look_at, sorted(found, key=by_number))


def look_at(folder: Path) -> Finding:
    """Every file of a run is read, the checkpoint too."""
    if wrong := dict.fromkeys(faults(folder)):
        return Finding(folder, "damaged", "; ".join(wrong))
    status = status_of(folder)
    if status not in DONE:
        return Finding(folder, "unfinished", f"{status or 'no row yet'}; {outlook(folder)}")
    drawn = (folder / PICTURE).exists()
    return Finding(
        folder, "whole", "" if drawn else f"{PICTURE} is missing: a sweep's start draws it"
    )


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with each file. A damaged checkpoint is no fault where the other generation is sound."""
    for look in (read_settings, read_summary, read_all_rows, read_checkpoint):
        try:
            with reading(folder):
                look(folder)
        except InputError as error:
            yield str(error)


def read_all_rows(folder: Path) -> None:
    """Fault where a result's rows end before or after its summary."""
    file = folder / "metrics.csv"
    if status_of(folder) is None:
        return
    columns, summary = read_columns(file), read_summary(folder)
    with reading(file):
        last, end = list(columns["step"][-1:]), summary.get("steps")
        if summary["status"] in DONE and end is not None and last != [end]:
            raise Fault(f"ends at step {last[0] if last else 'none'}, its summary at step {end}")


def read_checkpoint(folder: Path) -> None:
    """InputError where there are checkpoints and none is sound."""
    files = generations(folder)
    if not any(map(is_sound, files)):
        for file in files:
            read_sound(file)


def outlook(folder: Path) -> str:
    """What becomes of a stopped run that is started again."""
    if why := obstacle(folder):
        return why
    sound = [file for file in generations(folder) if is_sound(file)]
    if not sound:
        return "started again, it begins anew, unless all rows are there"
    return f"started again, it goes on from {sound[0].name}"
