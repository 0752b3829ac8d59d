"""What a run is made with: with anything else, a stopped run does not go on."""

from functools import cache

from nglab import __version__
from nglab.native.arithmetic import arithmetic


@cache
def versions() -> dict[str, str]:
    from importlib.metadata import version  # milliseconds, and only here

    names = ("torch", "hydra-core", "numpy")
    return {"nglab": __version__, **{name: version(name) for name in names}}


def made_with() -> dict[str, str]:
    """The versions, and what else the rounding of the results depends on. Imports torch."""
    return versions() | arithmetic()
