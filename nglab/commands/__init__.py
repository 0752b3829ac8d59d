"""The subcommands: a file each, its docstring its help, its `command(arguments)` what it does."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def commands() -> dict[str, str]:
    """The subcommands, name → module: every file here."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py"))
    return {name: f"{__name__}.{name}" for name in names}


def summaries() -> Iterator[tuple[str, str]]:
    """Each subcommand and the first line of its module's docstring, read without importing it."""
    import ast  # milliseconds, and only here

    for name in commands():
        source = (Path(__file__).parent / f"{name}.py").read_text()
        yield name, (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
