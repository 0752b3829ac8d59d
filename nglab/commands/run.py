"""train one run, or with -m a sweep"""

from collections.abc import Iterator

from nglab.settings.dialect import quoted
from nglab.sweeps.application import run_command

FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def command(arguments: list[str]) -> None:
    run_command(list(with_folder(arguments)))


def with_folder(arguments: list[str]) -> Iterator[str]:
    """`out=DIR`, as every command has it, by Hydra's names: the folder of the run, or of the sweep, be it -m or a file
    that makes it one.

    Quoted, so that the name may have any character; `${…}` is resolved in it as elsewhere.
    """
    rest = iter(arguments)
    for word in rest:
        if word == "--out":
            yield from folders(next(rest, ""))
        elif word.removeprefix("--").startswith("out="):
            yield from folders(word.partition("=")[2])
        else:
            yield word


def folders(name: str) -> list[str]:
    return [f"{key}={quoted(name)}" for key in FOLDERS]
