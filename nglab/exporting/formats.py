"""Where runs can be exported to, and what each needs. A format is a module that has `write(runs, out)`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from nglab.errors import InputError
from nglab.exporting.exported import Exported
from nglab.settings.messages import demand, meant, one_of


@dataclass(frozen=True)
class Format:
    """The module that writes it, and the package that this needs, "" for none."""

    module: str
    needs: str = ""


FORMATS = {
    "csv": Format("csv_files"),
    "tensorboard": Format("tensorboard_events", "tensorboard"),
    "wandb-offline": Format("wandb_offline", "wandb"),
}

Write = Callable[[Sequence[Exported], Path], Sequence[Path]]
"""Writes runs into a folder, new or empty; returns what to look at there."""


def writer(name: str) -> Write:
    """What writes the format. Raises InputError where there is none of the name, or its package is not installed."""
    demand(name in FORMATS, "to", name, one_of(FORMATS) + meant(name, FORMATS))
    needs = FORMATS[name].needs
    if needs and find_spec(needs) is None:
        raise InputError(
            f'to={name}: needs the package {needs}, which is not installed: pip install "nglab[export]"'
        )
    write: Write = import_module(f"nglab.exporting.{FORMATS[name].module}").write
    return write
