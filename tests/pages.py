"""The examples of the documentation: files and commands, as their pages have them."""

import re
import sys
from pathlib import Path

from nglab.settings.composing import conf_dir

DOCS = conf_dir().parent / "docs"
ADDED = sorted((DOCS / "add").glob("[!R]*.md"))
"""The pages on what can be added, without the one that lists them."""


def files(page: Path) -> dict[str, str]:
    """Path → text of each block of a page that has a title."""
    blocks = re.findall(
        r'^```\w+ title="(.*?)"\n(.*?)^```$', page.read_text(), re.DOTALL | re.MULTILINE
    )
    return dict(blocks)


def write(page: Path, folder: Path) -> None:
    for name, text in files(page).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def commands(page: Path) -> list[str]:
    """The lines of the blocks of shell."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return "".join(blocks).splitlines()


def forget_mine() -> None:
    """Modules of a folder `mine` that another test has imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]
