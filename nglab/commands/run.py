"""train one run, or with -m a sweep"""

from nglab.sweeps.application import run_command


def command(arguments: list[str]) -> None:
    run_command(arguments)
