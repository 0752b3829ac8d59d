"""train one run, or with -m a sweep"""

from collections.abc import Iterator

from nglab.settings.dialect import quoted
from nglab.sweeps.application import run_command

SWEEPS = {"-m", "--multirun"}


def command(arguments: list[str]) -> None:
    run_command(list(with_folder(arguments)))


def with_folder(arguments: list[str]) -> Iterator[str]:
    """`out=DIR`, as every command has it, by Hydra's name: the folder of the run, or with -m of the sweep.

    Quoted, so that the name may have any character; `${…}` is resolved in it as elsewhere.
    """
    key = "hydra.sweep.dir" if SWEEPS & set(arguments) else "hydra.run.dir"
    rest = iter(arguments)
    for word in rest:
        if word == "--out":
            yield f"{key}={quoted(next(rest, ''))}"
        elif word.removeprefix("--").startswith("out="):
            yield f"{key}={quoted(word.partition('=')[2])}"
        else:
            yield word
