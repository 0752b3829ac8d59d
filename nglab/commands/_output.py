"""What several commands share: Hydra's lists, and what is shown on the terminal."""

import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nglab.errors import InputError
from nglab.settings.messages import demand

if TYPE_CHECKING:
    from omegaconf import DictConfig


WHERE = "a condition, such as 'optimizer.lr<0.02'; several: all hold"
"""What `where` means to every command that has it."""


def as_lists(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    """panels=A,B as panels=[A,B] for these keys; Hydra would take it for a sweep."""
    pairs = [override.partition("=") for override in overrides]
    return [
        f"{key}=[{value}]" if key in keys and not value.startswith("[") else f"{key}={value}"
        for key, _, value in pairs
    ]


def folder_of(config: "DictConfig") -> Path:
    """The folder that a configuration names as `out`."""
    demand(isinstance(config.out, str) and config.out != "", "out", config.out, "a folder")
    return Path(config.out)


def drawn(figure: "Callable[[DictConfig, Path], list[Path]]", config: "DictConfig") -> None:
    """Make what is configured in its folder; show what is done meanwhile, and the files."""
    show_log("nglab.figures")
    for file in figure(config, folder_of(config)):
        print(file)


def say(text: str) -> None:
    """Beside what a command shows."""
    print(f"nglab: {text}", file=sys.stderr)


@contextmanager
def with_preset(overrides: Sequence[str], command: str) -> Iterator[list[str]]:
    """preset=smoke as COMMAND=smoke: the presets of a command are the group of its name, and are named so in errors."""
    try:
        yield [re.sub("^preset=", f"{command}=", override) for override in overrides]
    except InputError as error:
        raise InputError(re.sub(f"^{command}=", "preset=", str(error))) from error


def show_log(room: str = "nglab") -> None:
    """What nglab, or a room of it, logs, and nothing of what its libraries log, on the terminal."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    logger = logging.getLogger(room)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
