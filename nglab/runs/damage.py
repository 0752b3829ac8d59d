"""What is wrong with a file that a run left, said in one way: the file, the reason, and what to do."""

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from nglab.errors import InputError
from nglab.runs.status import CHECKPOINT, OLDER_CHECKPOINT, OWNER

REPAIRS = {
    "metrics.csv": "delete summary.json, if there is one, and start the run again",
    "summary.json": "delete it and start the run again",
    OWNER: "start the run again in another folder; what it was stands in .hydra/overrides.yaml",
    CHECKPOINT: "start the run again with train.resume=anew",
    OLDER_CHECKPOINT: "delete it",
}
"""What mends a damaged file. A run that starts again goes on from its checkpoint, or else begins anew."""


class Fault(ValueError):
    """What is wrong with a file that can be opened."""


FAULTS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
    YAMLError,
    csv.Error,
)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Whatever goes wrong meanwhile is damage of `file`: InputError, unless it names another file already."""
    try:
        yield
    except InputError:
        raise
    except (*FAULTS, OmegaConfBaseException) as error:
        raise damaged(file, reason(error)) from error


def damaged(file: Path, what: str) -> InputError:
    repair = REPAIRS.get(file.name)
    return InputError(f"{file} {what}" + (f": {repair}" if repair else ""))


def reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "is missing: its folder is not a whole run folder"
    if isinstance(error, Fault):
        return str(error)
    said = error.strerror if isinstance(error, OSError) else str(error)
    return f"cannot be read ({' '.join(str(said).split())[:200] or type(error).__name__})"


def read_mapping(file: Path) -> dict[str, Any]:
    """A JSON object; raises what `reading` takes for damage."""
    content = json.loads(file.read_text())
    if not isinstance(content, dict):
        raise Fault(f"holds {content!r:.40}, no mapping of keys to values")
    return content


def demand_kinds(content: Mapping[str, Any], kinds: Mapping[str, tuple[type, ...]]) -> None:
    """Fault where a value is there and of another kind than its key's."""
    for key, right in kinds.items():
        value = content.get(key)
        if value is not None and (not isinstance(value, right) or type(value) is bool):
            raise Fault(f"has {key}={value!r:.40}, no {'number' if float in right else 'text'}")
