"""Runs read back, one or many: the one reader of what runs leave. A file that is damaged is named with the reason."""

import csv
import math
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from nglab.errors import InputError
from nglab.runs.damage import Fault, demand_kinds, read_mapping, reading
from nglab.runs.status import OWNER, RESULTS

if TYPE_CHECKING:
    import pandas as pd  # a run reads what it left without it

COUNTED = ("step", "examples_seen", "train_seconds", "test_loss")
"""The columns without which rows are no record of a run."""

Columns = dict[str, "array[float] | array[int]"]
"""What `metrics.csv` holds, name → numbers, of eight bytes each."""

KINDS: dict[str, tuple[type, ...]] = {
    "status": (str,),
    **dict.fromkeys(
        ("minimum_loss", "final_test_loss", "best_test_loss", "examples_to_floor",
         "seconds_to_floor", "steps", "skipped_steps", "train_seconds", "threads", "stacked"),
        (int, float),
    ),
}  # fmt: skip
"""What a summary may hold under the keys that are computed with."""


@dataclass(frozen=True)
class RunRecord:
    """A run read back: its resolved configuration as plain values (`settings`), its columns of rows and its summary."""

    folder: Path
    settings: dict[str, Any]
    columns: Columns
    summary: dict[str, Any]

    @cached_property
    def metrics(self) -> "pd.DataFrame":
        """The rows, a column each number."""
        import pandas as pd

        return pd.DataFrame(self.columns)

    @cached_property
    def config(self) -> DictConfig:
        """The configuration, whose keys are attributes."""
        return OmegaConf.create(self.settings)

    def __repr__(self) -> str:
        loss, rows = self.summary.get("final_test_loss"), len(self.columns["step"])
        return f"RunRecord({self.folder}: {self.summary['status']}, {rows} rows, test loss {loss})"


def read_run(folder: Path) -> RunRecord:
    """Read one run folder. A run still going, or killed, has a summary whose status is "unfinished".

    Raises InputError, naming the file, where one is missing or damaged.
    """
    with reading(folder):
        columns = read_columns(folder / "metrics.csv")
        return RunRecord(folder, read_settings(folder), columns, read_summary(folder))


def read_each(folders: Iterable[Path]) -> tuple[list[RunRecord], dict[Path, InputError]]:
    """The runs that are whole, and what is wrong with the others."""
    records: list[RunRecord] = []
    damage: dict[Path, InputError] = {}
    for folder in folders:
        try:
            records.append(read_run(folder))
        except InputError as error:
            damage[folder] = error
    return records, damage


def whole_runs(paths: Sequence[Path], say: Callable[[str], object]) -> list[RunRecord]:
    """The whole runs at or below `paths`; of the others is said what is wrong with them.

    Raises InputError where there is no run, and what is wrong with one that was named itself.
    """
    records, damage = read_each(find_runs(paths))
    for folder, error in damage.items():
        if folder in paths:
            raise error
        say(f"left out: {error}")
    return records


def read_settings(folder: Path) -> dict[str, Any]:
    """What the run wrote down at its start; of runs made before they did so, what Hydra wrote."""
    if (folder / OWNER).exists():
        settings: dict[str, Any] = read_owner(folder)["config"]
        return settings
    file = folder / ".hydra" / "config.yaml"
    with reading(file):
        config = OmegaConf.load(file)
        if not isinstance(config, DictConfig) or not config:
            raise Fault("is not a mapping of keys to values")
        return {str(k): v for k, v in OmegaConf.to_container(config, resolve=True).items()}  # type: ignore[union-attr]


def read_owner(folder: Path) -> dict[str, Any]:
    """`run.json`: the configuration, what the run is made with, and what its summary will say of that."""
    file = folder / OWNER
    with reading(file):
        content = read_mapping(file)
        content.setdefault("facts", {})
        for key in ("config", "versions", "facts"):
            if not isinstance(value := content.get(key), dict):
                raise Fault(f"has {key}={value!r:.40}, no mapping of keys to values")
        return content


def read_summary(folder: Path) -> dict[str, Any]:
    file = folder / "summary.json"
    if not file.exists():
        return {"status": "unfinished"}
    with reading(file):
        summary = read_mapping(file)
        demand_kinds(summary, KINDS)
        if summary.get("status") is None:
            raise Fault("has no status")
        return summary


def status_of(folder: Path) -> str | None:
    """The status of the run in `folder`, "unfinished" while it goes on or after a kill; None where it left nothing."""
    if not any((folder / name).exists() for name in RESULTS):
        return None
    return str(read_summary(folder)["status"])


def read_metrics(file: Path) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(read_columns(file))


def read_rows(folder: Path) -> list[dict[str, float]]:
    """The rows of a run as they were written: a number that one does not have is left out of it."""
    columns = read_columns(folder / "metrics.csv")
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return [{k: v for k, v in row.items() if k in COUNTED or not math.isnan(v)} for row in rows]


def read_columns(file: Path) -> Columns:
    """The whole rows: of a last line that a killed writer left without its end, nothing is taken."""
    with reading(file):
        text = file.read_text()
        header, *lines = csv.reader(text[: text.rfind("\n") + 1].splitlines() or [""])
        if missing := [name for name in COUNTED if name not in header]:
            raise Fault(f"has no column {', '.join(missing)}")
        if uneven := [line for line in lines if len(line) != len(header)]:
            raise Fault(f"has a row of {len(uneven[0])} numbers under {len(header)} names")
        found = zip(*lines, strict=True) if lines else ([] for _ in header)
        columns = {name: numbers(name, words) for name, words in zip(header, found, strict=True)}
        if any(map(math.isnan, chain(*(columns[name] for name in COUNTED[:-1])))):
            raise Fault(f"has a row without one of {', '.join(COUNTED[:-1])}")
        return columns


def numbers(name: str, words: Sequence[str]) -> "array[float] | array[int]":
    """A column; what is empty is not a number. Fault where there is text."""
    try:
        if all(map(str.isdecimal, words)):
            return array("q", map(int, words))
        return array("d", (float(word or "nan") for word in words))
    except (ValueError, OverflowError) as error:
        raise Fault(f"has text in the column {name}") from error


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Every folder at or below `paths` that holds rows or a summary, or cannot be looked into.

    Sorted by path, numbers by value. Raises InputError where there is none.
    """
    found: set[Path] = set()
    for path in map(Path, paths):
        if not os.path.isdir(path):
            raise InputError(f"{path} is not a folder: give a run's folder, or one that holds runs")
        below = set(folders_with(("metrics.csv", "summary.json"), path))
        if not below:
            raise InputError(f"{path} holds no run: no metrics.csv at or below it")
        found |= below
    return sorted(found, key=by_number)


def folders_with(names: Sequence[str], path: Path) -> Iterable[Path]:
    """The folders at or below `path` that hold one of these, or cannot be looked into."""
    closed: list[OSError] = []
    for place, folders, files in os.walk(path, onerror=closed.append):
        if any(name in files or name in folders for name in names):
            yield Path(place)
        folders[:] = [name for name in folders if name != ".hydra" and name not in names]
    yield from (Path(error.filename) for error in closed)


def by_number(path: Path) -> list[tuple[int, int, str]]:
    return [(0, int(s), "") if s.isdecimal() else (1, 0, s) for s in path.parts]
