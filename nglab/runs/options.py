"""Every option of every group with its settings, for the documentation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from nglab.runs.config import Config
from nglab.settings.building import imported
from nglab.settings.composing import compose, conf_dir
from nglab.settings.describing import settings_of, wanted
from nglab.settings.tables import Row, rows, shown

INTRODUCTION = """\
# Settings

Made by `python scripts/document_settings.py` from the classes that declare them. `nglab run --help GROUP=OPTION …`
shows those of a run. Defaults are those of the YAML files.
"""


def document() -> str:
    """The whole of docs/settings.md."""
    cfg = cast(dict[str, Any], OmegaConf.to_container(compose([])))
    shared = [row for row in rows(Config, cfg) if row.key.startswith(SHARED)]
    parts = [INTRODUCTION, "## Every run", table(shared)]
    for group, files in options():
        parts.append(f"## `{group}`")
        for file in files:
            parts += [*described(group, file)]
    return "\n\n".join(parts).rstrip() + "\n"


SHARED = ("arch.", "init.", "train.", "seed", "device", "dtype")
"""The keys that no option brings."""


def options() -> Iterator[tuple[str, list[Path]]]:
    """The groups whose options name a class, and their files."""
    for folder in sorted(path for path in conf_dir().rglob("*") if path.is_dir()):
        group = str(folder.relative_to(conf_dir()))
        files = [file for file in sorted(folder.glob("*.yaml")) if "_target_" in file.read_text()]
        if files and not group.startswith("hydra"):
            yield group, files


def described(group: str, file: Path) -> Iterator[str]:
    """An option: what its class says of itself, and its own settings."""
    values = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(file)))
    values = values.get(group, values)  # of a file for the whole configuration
    cls = imported(values["_target_"], group)
    first = (cls.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")
    yield f"### `{group}={file.stem}`\n\n{' '.join(first.split())}"
    own = [
        Row(one.key, values[one.key], wanted(one.type), one.description)
        for one in settings_of(cls)
        if one.key in values and not isinstance(values[one.key], dict)
    ]
    if own:
        yield table(own)


def table(listed: list[Row]) -> str:
    head = "| key | default | meaning | must be |\n|---|---|---|---|"
    lines = [
        f"| `{r.key}` | `{shown(r.value)}` | {cell(r.meaning)} | {cell(r.wanted)} |" for r in listed
    ]
    return "\n".join([head, *lines])


def cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("<", "&lt;")
