"""The versions with which a run is made: with others, a stopped run does not go on."""

from functools import cache

from nglab import __version__


@cache
def versions() -> dict[str, str]:
    from importlib.metadata import version  # milliseconds, and only here

    names = ("torch", "hydra-core", "numpy")
    return {"nglab": __version__, **{name: version(name) for name in names}}
